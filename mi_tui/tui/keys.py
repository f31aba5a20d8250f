"""The keys of the app, gathered from the screens, for the documentation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    """A key, what it does, and the id under which it can be bound anew."""

    keys: str
    name: str
    tooltip: str
    id: str


def places() -> Iterator[tuple[str, type[Any]]]:
    """Each screen and table that has keys of its own, with its name."""
    from mi_tui.tui.runtime.app_keys import Everywhere
    from mi_tui.tui.screens.base import FormScreen
    from mi_tui.tui.screens.dialogs.ask import AskScreen, ConfirmScreen
    from mi_tui.tui.screens.dialogs.baselines import RowsScreen
    from mi_tui.tui.screens.dialogs.dialog import Dialog
    from mi_tui.tui.screens.dialogs.help import HelpScreen
    from mi_tui.tui.screens.dialogs.jump import JumpScreen
    from mi_tui.tui.screens.dialogs.pick import PickScreen
    from mi_tui.tui.screens.dialogs.probe_form import ProbeFormScreen
    from mi_tui.tui.screens.dialogs.probe_kinds import CatalogueScreen
    from mi_tui.tui.screens.dialogs.serve import ServeScreen
    from mi_tui.tui.screens.dialogs.themes import ThemesScreen
    from mi_tui.tui.screens.home import HomeScreen
    from mi_tui.tui.screens.presets import Filter, PresetsScreen
    from mi_tui.tui.screens.reading.breakdown import BreakdownScreen
    from mi_tui.tui.screens.reading.case import CaseScreen
    from mi_tui.tui.screens.reading.example import ExampleScreen
    from mi_tui.tui.screens.reading.lengths import LengthsScreen
    from mi_tui.tui.screens.reading.relative_gap import SigmaScreen
    from mi_tui.tui.screens.reading.responses import ResponsesScreen
    from mi_tui.tui.screens.reading.studies import StudiesScreen
    from mi_tui.tui.screens.steps.models import ModelsScreen
    from mi_tui.tui.screens.steps.probe_run import ProbeScreen
    from mi_tui.tui.screens.steps.recommend import RecommendScreen
    from mi_tui.tui.screens.steps.scope import ScopeScreen
    from mi_tui.tui.widgets.choice import Choice
    from mi_tui.tui.widgets.form import Answer, Field
    from mi_tui.tui.widgets.menu import MenuList
    from mi_tui.tui.widgets.results_table import ResultsTable
    from mi_tui.tui.widgets.study_list import StudyList

    yield "Everywhere", Everywhere
    yield "Home", HomeScreen
    yield "List of studies", StudyList
    yield "Several studies", StudiesScreen
    yield "Presets", PresetsScreen
    yield "Filter of the presets", Filter
    yield "Lists", MenuList
    yield "Models, Budget, Scope", FormScreen
    yield "Models", ModelsScreen
    yield "Dialogs", Dialog
    yield "σ", SigmaScreen
    yield "Scope", ScopeScreen
    yield "Add a probe", CatalogueScreen
    yield "One probe", ProbeFormScreen
    yield "Baselines", RowsScreen
    yield "Examples", ExampleScreen
    yield "Fields", Field
    yield "Fields of a dialog", Answer
    yield "Choices", Choice.__mro__[1]
    yield "Probe", ProbeScreen
    yield "Results table", ResultsTable
    yield "Probes, strata, flips", BreakdownScreen
    yield "Responses", ResponsesScreen
    yield "Lengths", LengthsScreen
    yield "One problem, several λ", CaseScreen
    yield "Recommend & export", RecommendScreen
    yield "Serve with λ per request", ServeScreen
    yield "Short questions", AskScreen
    yield "Yes or no", ConfirmScreen
    yield "Short lists", PickScreen
    yield "Themes", ThemesScreen
    yield "Jump", JumpScreen
    yield "Help", HelpScreen


def keys_of(place: type[Any]) -> list[Key]:
    """The bindings that a screen or widget adds itself."""
    return [
        Key(binding.key, binding.description, binding.tooltip, binding.id or "")
        for binding in place.BINDINGS
        if isinstance(binding, Binding)
    ]


def ids_by_place() -> dict[str, dict[str, str]]:
    """The keys that count on each screen or widget, by their ids: its own and the app's."""
    listed = {name: {key.id: key.keys for key in keys_of(place)} for name, place in places()}
    everywhere = listed["Everywhere"]
    return {name: {**everywhere, **keys} for name, keys in listed.items()}


def as_markdown() -> str:
    """All keys as Markdown tables."""
    lines: list[str] = []
    for name, place in places():
        lines += [f"## {name}", "", "| key | does | id |", "|---|---|---|"]
        for key in keys_of(place):
            shown = " ".join(f"`{_spelled(part)}`" for part in key.keys.split(","))
            lines.append(f"| {shown} | {key.name}: {key.tooltip} | `{key.id}` |")
        lines.append("")
    return "\n".join(lines)


def _spelled(key: str) -> str:
    return {"question_mark": "?"}.get(key, key)
