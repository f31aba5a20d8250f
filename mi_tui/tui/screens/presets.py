"""The presets screen: browse, filter, read, open in the guide."""

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.plan.library import PresetEntry
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import labels
from mi_tui.present import numbers
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.forms.draft_reader import pair_title
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.studies.messages import NewStudy
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.form import Field, text_field
from mi_tui.tui.widgets.menu import MenuList

_YOURS = "Yours"
_BROKEN = "Not valid"


class Filter(Field):
    """What is typed filters; Enter opens what the cursor is on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "submit", "Open", id="presets.open", tooltip="Open the preset in the guide"
        ),
    ]


class PresetsScreen(Screen[None]):
    """All presets in groups; typing filters, Enter opens one in the guide."""

    HELP_PAGE = "presets"
    AUTO_FOCUS = "#preset-filter"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, id="presets.down", tooltip="Next preset"),
        Binding(
            "up",
            "move(-1)",
            "Up",
            show=False,
            id="presets.up",
            tooltip="Previous preset",
        ),
        Binding(
            "escape", "leave", "Back", id="presets.back", tooltip="Clear the filter, or go back"
        ),
    ]

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._entries = services.presets()

    def compose(self) -> ComposeResult:
        """The filter, the list, and what the preset under the cursor asks."""
        yield Static(" Presets", classes="bar", markup=False)
        with Container(id="preset-panes"):
            with Container(id="preset-side"):
                yield text_field("preset-filter", "", placeholder="type to filter", kind=Filter)
                yield MenuList(id="preset-list", markup=False, compact=True)
            with VerticalScroll(id="preset-about", can_focus=False):
                yield Static("", id="preset-text", markup=False)
        yield Static("", id="status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """List them all."""
        self.query_one(MenuList).can_focus = False
        self._show("")

    @on(Input.Changed)
    def filtered(self, event: Input.Changed) -> None:
        """List what fits."""
        self._show(event.value)

    @on(Input.Submitted)
    def submitted(self) -> None:
        """Enter in the filter opens what the cursor is on."""
        self.action_open()

    @on(OptionList.OptionSelected)
    def clicked(self) -> None:
        """Open the preset that was clicked."""
        self.action_open()

    @on(OptionList.OptionHighlighted)
    def highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Describe the preset under the cursor."""
        entry = self._entry(event.option.id)
        self.query_one("#preset-text", Static).update(self._about(entry) if entry else Text())

    def action_move(self, by: int) -> None:
        """Move the cursor of the list; the filter keeps the keyboard."""
        listed = self.query_one(MenuList)
        (listed.action_cursor_down if by > 0 else listed.action_cursor_up)()

    def action_open(self) -> None:
        """Open the preset in the guide, where it can be changed and saved under a name."""
        listed = self.query_one(MenuList)
        if listed.highlighted is None:
            return
        entry = self._entry(listed.get_option_at_index(listed.highlighted).id)
        if entry is None:
            return
        if entry.preset is None:
            self.notify(entry.problem, severity="error", markup=False)
        else:
            self.post_message(NewStudy(draft_of(entry.preset)))

    def action_leave(self) -> None:
        """Clear the filter; without one go back."""
        box = self.query_one("#preset-filter", Input)
        if box.value:
            box.value = ""
        else:
            self.app.pop_screen()

    def on_resize(self, event: events.Resize) -> None:
        """Titles follow the width."""
        if event.size.width:
            self._show(self.query_one("#preset-filter", Input).value)

    def _show(self, text: str) -> None:
        shown = [entry for entry in self._entries if fits(entry, text)]
        listed = self.query_one(MenuList)
        under = None
        if listed.highlighted is not None:
            under = listed.get_option_at_index(listed.highlighted).id
        lines = self._lines(shown)
        listed.clear_options()
        listed.add_options(lines)
        ids = [line.id for line in lines]
        first = next((place for place, id in enumerate(ids) if id is not None), None)
        listed.highlighted = ids.index(under) if under is not None and under in ids else first
        self.query_one("#status", Static).update(
            f"{len(shown)} of {len(self._entries)} presets" if shown else f"no preset has “{text}”"
        )
        if not shown:
            self.query_one("#preset-text", Static).update(Text())

    def _lines(self, entries: list[PresetEntry]) -> list[Option]:
        lines: list[Option] = []
        widest = max((len(entry.name) for entry in entries), default=0)
        accent, secondary = (rich_colour(self.app, name) for name in ("accent", "secondary"))
        for group, members in grouped(entries).items():
            if lines:
                lines.append(Option("", disabled=True))
            lines.append(Option(Text(group, f"bold {accent}"), disabled=True))
            for entry in members:
                title = entry.preset.title if entry.preset else "✗ not valid"
                name = f"  {entry.name:<{widest}}  "
                line = Text.assemble(name, (title, secondary), no_wrap=True)
                line.truncate(max(self.query_one(MenuList).size.width - 2, 20), overflow="ellipsis")
                lines.append(Option(line, id=str(entry.path)))
        return lines

    def _entry(self, id: str | None) -> PresetEntry | None:
        return next((entry for entry in self._entries if str(entry.path) == id), None)

    def _about(self, entry: PresetEntry) -> RenderableType:
        label = rich_colour(self.app, "secondary")
        if entry.preset is None:
            return Text(f"✗ {entry.problem}", rich_colour(self.app, "error"))
        table = Table.grid(padding=(0, 2, 0, 0))
        for name, value in (*facts(entry.preset), ("File", str(entry.path))):
            table.add_row(Text(name, label), Text(value, overflow="fold"))
        words = Text.assemble(
            (f"{entry.preset.title}\n", "bold"), entry.preset.description.strip(), "\n"
        )
        return Group(words, table)


def grouped(entries: list[PresetEntry]) -> dict[str, list[PresetEntry]]:
    """The presets by group, or by pair; the user's own first, those that cannot be read last."""
    groups: dict[str, list[PresetEntry]] = {_YOURS: []}
    broken = []
    for entry in entries:
        if entry.preset is None:
            broken.append(entry)
        elif entry.bundled:
            groups.setdefault(entry.group or _pair_of(entry.preset), []).append(entry)
        else:
            groups[_YOURS].append(entry)
    return {name: found for name, found in {**groups, _BROKEN: broken}.items() if found}


def _pair_of(preset: Preset) -> str:
    named = pair_title(preset.pair.instruct, preset.pair.thinking)
    return "Demo pair" if named == "bundled" else named


def fits(entry: PresetEntry, text: str) -> bool:
    """Whether every typed word is somewhere in the preset's name, title, pair or description."""
    preset = entry.preset
    parts = [entry.name, entry.group, entry.problem]
    if preset is not None:
        probes = [plan.name or plan.kind for plan in preset.probes]
        parts += [preset.title, preset.description, preset.pair.instruct, *probes]
    content = " ".join(parts).lower()
    return all(word in content for word in text.lower().split())


def facts(preset: Preset) -> list[tuple[str, str]]:
    """What a preset asks, as short lines with their names."""
    search = preset.search
    probes = ", ".join(
        f"{plan.name or plan.kind}{f' ({plan.problems})' if plan.problems else ''}"
        for plan in preset.probes
    )
    lines = [
        ("Instruct", preset.pair.instruct),
        ("Thinking", preset.pair.thinking),
        ("Finds", preset.budget.in_words),
        ("Probes", probes),
        ("λ grid", ", ".join(f"{value:g}" for value in search.grid)),
        ("Samples", f"{search.samples} per problem{', then refines' if search.refine else ''}"),
    ]
    if not preset.scope.is_full:
        lines.append(("Scope", str(preset.scope)))
    if preset.search.two_knobs:
        lines.append(("Then", "two knobs: λ of attention, λ of the FFN"))
    if preset.recipes:
        shown = labels(preset.recipes)
        more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
        lines.append(("Rows", ", ".join(shown[:6]) + more))
    limits = [
        f"{numbers.count(value)} {unit}"
        for value, unit in [
            (search.max_rollouts, "rollouts"),
            (search.max_tokens, "tokens"),
            (search.max_minutes, "minutes"),
        ]
        if value is not None
    ]
    if limits:
        lines.append(("Stops at", ", ".join(limits)))
    return lines
