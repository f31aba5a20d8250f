"""Number the recipes an engine has met, so that rows carry small integers."""

from mi_tui.plan.recipe import Recipe


class RecipeNumbers:
    """Recipes in the order they were first seen; equal recipes share a number."""

    def __init__(self) -> None:
        self._numbers: dict[Recipe, int] = {}
        self._recipes: list[Recipe] = []

    def __len__(self) -> int:
        return len(self._recipes)

    def __getitem__(self, number: int) -> Recipe:
        return self._recipes[number]

    def number(self, recipe: Recipe) -> int:
        """The recipe's number, a new one when it was not seen before.

        Recipes that differ in decoding alone are the same weights and share a number.
        """
        weights = recipe.model_copy(update={"decoding": type(recipe.decoding)()})
        number = self._numbers.get(weights)
        if number is None:
            number = self._numbers[weights] = len(self._recipes)
            self._recipes.append(weights)
        return number
