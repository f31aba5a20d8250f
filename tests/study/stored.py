"""A study with stored rollouts, made without an engine."""

from dataclasses import replace
from pathlib import Path

from mi_tui.plan.recipe import interpolation
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.records import PlannedAsk
from mi_tui.study.storage.store import Store
from tests.study.presets import small_preset
from tests.study.storage.test_store import a_probe, a_rollout


def stored_study(
    path: Path, lambdas: tuple[float, ...] = (0.0, 0.6, 1.0), problems: int = 3, score: float = 1.0
) -> Path:
    """A finished study of a few λ, some problems and six samples of each, all with one score."""
    create_study(small_preset(), path)
    asked = range(problems)
    with Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe(problems=problems + 1)])
        recipes = {store.recipe_index(interpolation(value)): value for value in lambdas}
        for sample in range(6):
            store.plan_round([(r, problem, sample) for r in recipes for problem in asked])
        for recipe, value in recipes.items():
            for sample in range(6):
                asks = [PlannedAsk(recipe, problem, sample, sample + 1) for problem in asked]
                tokens = round(10 + 30 * value) + sample
                each = (replace(a_rollout(ask), tokens=tokens, score=score) for ask in asks)
                store.add_rollouts(list(each))
        store.put(state="done")
    return path
