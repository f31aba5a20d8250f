"""Stored responses without a thinking cap, for recipes whose cap would not have touched them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mi_tui.engines.protocol import Completion
from mi_tui.engines.thinking_cap import is_untouched
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.thinking_tags import ThinkingTags
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.store import Store


class UncappedResponses:
    """Looks for the response of the recipe without the cap to the same problem and sample.

    A rollout's random numbers do not depend on its recipe, so that both are the same response as
    long as no thought is cut.

    Args:
        store: the study's store.
        tags: what may mark thinking.
        encode: the tokenizer.
    """

    def __init__(
        self,
        store: Store,
        tags: Sequence[ThinkingTags],
        encode: Callable[[str], tuple[int, ...]],
    ) -> None:
        self._store = store
        self._tags = tags
        self._encode = encode

    def rollout(self, ask: PlannedAsk, recipes: Sequence[Recipe], prompt: str) -> Rollout | None:
        """What is asked for, where it is stored already; ``None`` where it must be generated.

        Args:
            ask: of a recipe with a cap.
            recipes: those of the store.
            prompt: the text of the problem's prompt.
        """
        recipe = recipes[ask.recipe]
        if recipe.thinking_cap is None or recipe.uncapped not in recipes:
            return None
        of = replace(ask, recipe=recipes.index(recipe.uncapped))
        found = self._store.response(of.recipe, of.problem, of.sample)
        if found is None or found["score"] is None:
            return None
        text, tokens, truncated = found["text"], int(found["tokens"]), bool(found["truncated"])
        response = Completion(0, text, (), tokens, "length" if truncated else "stop", 0.0)
        if not is_untouched(response, recipe.thinking_cap, prompt, self._tags, self._encode):
            return None
        return Rollout(
            ask=ask,
            seed=int(found["seed"]),
            text=text,
            score=found["score"],
            tokens=tokens,
            think_tokens=int(found["think_tokens"]),
            thinking=bool(found["thinking"]),
            truncated=truncated,
            answer=found["answer"],
            failure=found["failure"],
            seconds=float(found["seconds"]),
        )
