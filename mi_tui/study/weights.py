"""The weights that a study has measured, held against those that are there now."""

from collections.abc import Iterable

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.identity import difference, identify
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts, keep
from mi_tui.study.storage.store import Store


def settle_weights(store: Store) -> Preset:
    """Note which weights a study measures, when it starts; hold them against that later.

    Returns:
        The preset in force, with hub checkpoints pinned to the commits that were noted.

    Raises:
        StudyError: the weights are others than those that were measured.
        CheckpointError: a checkpoint cannot be found or read.
    """
    facts = Facts.of(store)
    known = dict(facts.weights)
    require_same_weights(facts)
    for reference in _references(facts.made_of.pair, [*facts.made_of.recipes, *store.recipes()]):
        if reference not in known:
            known[reference] = identify(reference)
    keep(store, weights=known)
    return Facts.of(store).preset


def require_same_weights(facts: Facts, *, where_present: bool = False) -> None:
    """Refuse weights that are not those that a study has measured.

    Args:
        facts: of the study.
        where_present: pass over checkpoints that are not on this machine.

    Raises:
        StudyError: they are others; the message names the files or the commits.
        CheckpointError: a checkpoint cannot be found or read.
    """
    pair = facts.made_of.pair
    of_the_pair = (pair.instruct, pair.thinking, pair.base)
    for reference, was in facts.weights.items():
        if was.repository and reference in of_the_pair:
            continue  # the study names the commit, and a commit does not change
        try:
            now = identify(reference)
        except CheckpointError:
            if where_present:
                continue
            raise
        if words := difference(was, now):
            raise StudyError(
                f"{reference} is not what this study has measured: {words}: put the measured "
                "files back, or start a new study"
            )


def _references(pair: Pair, recipes: Iterable[Recipe]) -> list[str]:
    named = [pair.instruct, pair.thinking, pair.base]
    for recipe in recipes:
        named += [recipe.backbone, recipe.base]
    return list(dict.fromkeys(reference for reference in named if reference))
