"""Small integers for the recipes an engine has met."""

from mi_tui.plan.recipe import Recipe


class RecipeIds:
    """Recipes in the order they were first seen; equal recipes share a number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Recipe, bool], int] = {}
        self._recipes: list[tuple[Recipe, bool]] = []

    def __len__(self) -> int:
        return len(self._recipes)

    def __getitem__(self, number: int) -> Recipe:
        return self._recipes[number][0]

    def as_exported(self, number: int) -> bool:
        """Whether the number stands for the weights that a merged checkpoint would hold."""
        return self._recipes[number][1]

    def number(self, recipe: Recipe, *, as_exported: bool = False) -> int:
        """The recipe's number, a new one when it was not seen before.

        Recipes that differ in decoding alone are the same weights and share a number.
        """
        weights = recipe.model_copy(update={"decoding": type(recipe.decoding)()})
        key = (weights, as_exported)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._recipes)
            self._recipes.append(key)
        return number
