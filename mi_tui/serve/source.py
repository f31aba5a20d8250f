"""The source of a server: a study, a preset or a pair, and the dial that it gives."""

from dataclasses import dataclass, replace
from pathlib import Path

from mi_tui.analysis.recommendation.efforts import serve_plan
from mi_tui.checkpoints.checks.remote_code import remote_code
from mi_tui.checkpoints.locate import locate
from mi_tui.errors import MiTuiError
from mi_tui.export.escaping import slug
from mi_tui.paths import expanded, is_file
from mi_tui.plan.budget import Budget
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.library import find_preset
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.remote_code import allow
from mi_tui.plan.serve import NO_THINKING, ServePlan
from mi_tui.plan.toml import PresetError
from mi_tui.serve.dial import Dial
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.weights import require_same_weights

MIDDLE = 0.5
"""The λ of requests that name none, where nothing was measured and none is given."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is served: the pair, the dial, and how the preset wants its engine.

    ``title`` is what the pair comes from, in words; ``remark`` what is to be known of the answer.
    """

    title: str
    pair: Pair
    dial: Dial
    engine: EnginePlan
    remark: str = ""

    def with_lambda(self, lambda_: float) -> "Source":
        """The same with another λ for requests that name none.

        Raises:
            MiTuiError: it is not from 0 to 1.
        """
        if not 0 <= lambda_ <= 1:
            raise MiTuiError(f"--lambda {lambda_:g}: write a number from 0 to 1")
        return replace(self, dial=self.dial.model_copy(update={"recipe": self.dial.at(lambda_)}))

    def trusting(self, given: bool) -> "Source":
        """The same, with the user's consent to the code of its checkpoints where it is given.

        Raises:
            CheckpointError: a checkpoint cannot be found, or its code cannot be read.
            MiTuiError: the consent cannot be kept.
        """
        if not given:
            return self
        sides = (self.pair.instruct, self.pair.thinking)
        codes = [remote_code(locate(side, weights=False)) for side in sides]
        allow(codes)
        wanted = self.pair.trust_remote_code or any(codes)
        pair = self.pair.model_copy(update={"trust_remote_code": wanted})
        return replace(self, pair=pair)

    def named(self, name: str) -> "Source":
        """The same under another name.

        Raises:
            MiTuiError: no model can have this name.
        """
        try:
            plan = ServePlan(name=name, lambda_=self.dial.default)
        except ValueError:
            raise MiTuiError(
                f"--name {name}: letters, digits, points and hyphens, at most 80"
            ) from None
        return replace(self, dial=self.dial.model_copy(update={"name": plan.name}))


def find_source(reference: str, budget: Budget | None = None) -> Source:
    """The source that a study or a preset is; a study wins over a preset of its name.

    Args:
        reference: a study's name or directory, or a preset's name or file.
        budget: the question to a study; by default its own.

    Raises:
        MiTuiError: there is neither, or it cannot be served.
    """
    path = expanded(reference)
    if path.suffix == ".toml" and is_file(path):
        return of_preset(reference)
    try:
        return of_study(reference, budget)
    except StudyError as no_study:
        if is_file(path / "study.db") or not str(no_study).startswith("no study "):
            raise
        try:
            return of_preset(reference)
        except PresetError as no_preset:
            if str(no_preset).startswith("no preset "):
                raise MiTuiError(
                    f"{reference} is neither a study nor a preset: mi-tui studies and mi-tui "
                    "presets list them"
                ) from None
            raise


def of_study(reference: str | Path, budget: Budget | None = None) -> Source:
    """The efforts and the recommended λ that a study's rollouts give.

    Raises:
        StudyError: there is none, it has nothing to recommend, or its pair is no longer what it
            measured.
    """
    with StudyReader(reference) as study:
        facts = Facts.of(study.store)
        about = facts.preset.budget.about
        asked = budget.model_copy(update={"about": about}) if budget else None
        answer = study.recommend(asked)
        name = study.folder.name
        require_same_weights(facts, where_present=True)
    preset = facts.preset
    if not answer.recommended:
        raise StudyError(f"{name} recommends no λ to serve: {answer.sentence}")
    _require_linear(answer.recipe)
    plan = serve_plan(answer, preset, whole=True)
    remark = "" if answer.decided else answer.sentence
    return Source(f"study {name}", preset.pair, _dial(plan, preset), preset.engine, remark)


def of_preset(reference: str) -> Source:
    """The efforts in a preset's table ``[serve]``.

    Raises:
        PresetError: there is none, it is not valid, or it has no such table.
    """
    name, preset = find_preset(reference)
    if preset.serve is None:
        raise PresetError(
            f"preset {name} has no table [serve]: run it and serve the study, or export a study's "
            "preset"
        )
    return Source(f"preset {name}", preset.pair, _dial(preset.serve, preset), preset.engine)


def of_pair(pair: Pair) -> Source:
    """A pair of which nothing was measured: no thinking is λ = 0, and all else in the middle."""
    name = slug(pair.thinking.partition("@")[0].rstrip("/").rpartition("/")[2])
    dial = Dial(name=name, recipe=Recipe(lambda_=MIDDLE), efforts=dict.fromkeys(NO_THINKING, 0.0))
    remark = "nothing was measured of this pair: a study finds its efforts (mi-tui run)"
    return Source("pair", pair, dial, EnginePlan(kind="vllm"), remark)


def _dial(plan: ServePlan, preset: Preset) -> Dial:
    recipe = Recipe(
        lambda_=plan.lambda_,
        scope=plan.scope or preset.scope,
        decoding=plan.decoding or preset.decoding,
    )
    return Dial(
        name=plan.name or slug(preset.title),
        recipe=recipe,
        efforts=plan.efforts,
        recipes=plan.recipes,
        measured=plan.measured,
    )


def _require_linear(recipe: Recipe) -> None:
    if not recipe.is_of_the_pair or recipe.rules:
        raise StudyError(
            f"{recipe.label} cannot be served with λ per request: export its checkpoint"
        )
