"""The forecast of a study in words: its cost and what it can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from mi_tui.plan.preset import Preset
from mi_tui.present import numbers
from mi_tui.present.engine import expected_time
from mi_tui.text.plurals import counted

if TYPE_CHECKING:
    from mi_tui.analysis.search.forecast import Forecast
    from mi_tui.engines.choice import EngineChoice
    from mi_tui.study.known_speeds import KnownSpeed


_BRIEF = 66
"""Columns for the engine's line on a screen of 80."""


@dataclass(frozen=True, slots=True)
class StudyForecast:
    """A preset, the problems of its probes as far as they are known, an earlier speed, and the
    engine that will run it."""

    preset: Preset
    sizes: tuple[int | None, ...]
    speed: "KnownSpeed | None" = None
    engine: "EngineChoice | None" = None

    @property
    def forecast(self) -> "Forecast | None":
        """The forecast, once every probe's problems are counted."""
        # Here, since it brings NumPy, which the first screen must not wait for.
        from mi_tui.analysis.search.forecast import forecast

        known = [size for size in self.sizes if size is not None]
        return forecast(self.preset, known) if len(known) == len(self.sizes) else None


def in_brief(study: StudyForecast, label: str, strong: str) -> Text:
    """Two paragraphs for the foot of a narrow screen; ``label`` and ``strong`` are styles."""
    told = study.forecast
    if told is None:
        return Text.assemble(("Cost      ", label), _uncounted(study))
    text = Text.assemble(
        ("Cost      ", label),
        (counted(told.rollouts, "rollout"), strong),
        f": {_size(study, told)}",
    )
    text.append(f"\n          {_tokens(study, told)}")
    text.append("\nCan tell  ", label)
    text.append(_resolution(told), strong)
    text.append(_refined(study.preset))
    if study.engine is not None:
        text.append("\nEngine    ", label)
        text.append(numbers.cut(study.engine.brief, _BRIEF))
    return text


def in_full(study: StudyForecast, label: str, strong: str) -> Text:
    """The same at length, for a panel of its own."""
    told = study.forecast
    if told is None:
        return Text.assemble(("Cost\n", label), _uncounted(study))
    text = Text.assemble(
        ("Cost\n", label),
        (counted(told.rollouts, "rollout"), strong),
        f"\n{_size(study, told)}\n{_tokens(study, told)}\n",
    )
    if told.held_out:
        text.append(f"and {counted(told.held_out, 'problem')} held out to confirm\n")
    if len(study.preset.probes) > 1:
        text.append("\nProbes\n", label)
        text.append_text(_weights(study))
    text.append("\nCan tell\n", label)
    text.append(_resolution(told).replace(", ", "\n"), strong)
    text.append("\nbetween two λ of the grid, with 95 %\nconfidence")
    if study.preset.search.refine:
        text.append("; refining then narrows it\naround the answer")
    text.append(".\n\n")
    text.append(_advice(study, told), "italic")
    if study.engine is not None:
        text.append("\n\nEngine\n", label)
        text.append(f"{study.engine.sentence}{expected_time(study.preset, study.engine)}\n")
        text.append(study.engine.memory.sentence)
    return text


def _uncounted(study: StudyForecast) -> str:
    plans = zip(study.preset.probes, study.sizes, strict=True)
    names = [plan.name or plan.kind for plan, size in plans if size is None]
    recipes = counted(len(study.preset.search.grid) + len(study.preset.recipes), "recipe")
    return f"{recipes} × {_samples(study.preset)} × all problems of {', '.join(names)}"


def _size(study: StudyForecast, told: "Forecast") -> str:
    search = told.problems - told.held_out
    asked = f"{counted(told.recipes, 'recipe')} × {counted(search, 'problem')}"
    text = f"{asked} × {_samples(study.preset)}"
    if told.share != 1:
        text = f"{numbers.percent(told.share)} of {text} (limit)"
    if not told.group_rollouts:
        return text
    what = "two knobs" if study.preset.search.two_knobs else "the layer groups"
    return f"{text}, {told.group_rollouts:,} for {what}"


def _samples(preset: Preset) -> str:
    """``4 samples``, or from the fewest to the most where probes have their own number."""
    found = sorted({plan.samples or preset.search.samples for plan in preset.probes})
    return counted(found[0], "sample") if len(found) == 1 else f"{found[0]}–{found[-1]} samples"


def _tokens(study: StudyForecast, told: "Forecast") -> str:
    """The tokens, and the time they take: as long as before where lengths are known, else at most.

    Lengths are known of an earlier study of the pair that asked the same kinds of problems.
    """
    most, speed = told.most_tokens, study.speed
    asked = {plan.kind for plan in study.preset.probes}
    if speed is None or not speed.tokens_per_response or not asked <= speed.probes:
        return f"at most {numbers.count(most)} tokens{_time(most, speed)}"
    expected = min(told.rollouts * speed.tokens_per_response, most)
    about = f"about {numbers.count(expected)} tokens{_time(expected, speed)}"
    return f"{about} as in {numbers.cut(speed.study, 24)}; at most {numbers.count(most)}"


def _time(tokens: float, speed: "KnownSpeed | None") -> str:
    if speed is None or speed.tokens_per_second <= 0:
        return ""
    return f", {numbers.duration(tokens / speed.tokens_per_second)} at the speed measured before"


def _resolution(told: "Forecast") -> str:
    score, length = 100 * told.score, 100 * told.length
    return f"±{score:.{1 if score < 3 else 0}f} points of score, ±{length:.0f} % of length"


def _refined(preset: Preset) -> str:
    return "; refining narrows it" if preset.search.refine else ""


def _weights(study: StudyForecast) -> Text:
    plans: Sequence[tuple[float, str, int | None]] = [
        (plan.weight, plan.name or plan.kind, size)
        for plan, size in zip(study.preset.probes, study.sizes, strict=True)
    ]
    total = sum(weight for weight, _, _ in plans)
    lines = [
        f"{numbers.percent(weight / total):>5}  {numbers.cut(name, 20):<20} {size}\n"
        for weight, name, size in plans
    ]
    return Text("".join(lines))


def _advice(study: StudyForecast, told: "Forecast") -> str:
    if told.score > 0.2:
        return "Too little for more than a first look:\nask more problems."
    if min(plan.samples or study.preset.search.samples for plan in study.preset.probes) >= 8:
        return "More problems would narrow it more\nthan more samples."
    return "Half the interval takes four times\nthe problems."
