"""The dialog that adds a probe of some kind."""

from itertools import groupby
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.probe_kind import kind_of, probe_kinds
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.screens.dialogs.probe_form import ProbeFormScreen
from mi_tui.tui.studies.messages import ShowExample
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.menu import MenuList


class CatalogueScreen(Dialog[AnyProbe | None]):
    """The kinds of probe in groups; Enter fills in one and gives it back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "e,f4",
            "example",
            "Example",
            id="catalogue.example",
            key_display="e",
            tooltip="One problem of the kind under the cursor, as the model will see it",
        ),
        Binding("escape", "dismiss(None)", "Cancel", id="catalogue.cancel", tooltip="Add nothing"),
    ]

    def __init__(self, pair: Pair | None, services: Services | None = None) -> None:
        super().__init__()
        self._services = services or Services()
        self._pair = pair

    def compose(self) -> ComposeResult:
        """The list, group by group."""
        with Vertical(classes="dialog"):
            yield Static("Add a probe", classes="heading", markup=False)
            yield MenuList(*self._lines(), id="catalogue", markup=False, compact=True)
            yield Static(
                "Enter fills it in · e shows an example · Escape adds nothing",
                classes="dialog-keys",
                markup=False,
            )
        yield Footer(compact=True, show_command_palette=False)

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """Fill in the fields of this kind."""
        plan = kind_of(str(event.option.id)).new()

        def filled(read: AnyProbe | None) -> None:
            if read is not None:
                self.dismiss(read)

        self.app.push_screen(ProbeFormScreen(plan, "Add", self._services), filled)

    def action_example(self) -> None:
        """Ask for an example of the kind under the cursor."""
        listed = self.query_one(MenuList)
        if listed.highlighted is None:
            return
        kind = kind_of(str(listed.get_option_at_index(listed.highlighted).id))
        if self._pair is None:
            self.notify("Name both checkpoints first.", severity="warning")
        elif kind.unready:
            self.notify(f"Enter, and {kind.unready} first.", severity="warning")
        else:
            self.post_message(ShowExample(Preset(title="x", pair=self._pair, probes=(kind.new(),))))

    def _lines(self) -> list[Option]:
        secondary = rich_colour(self.app, "secondary")
        lines: list[Option] = []
        for group, kinds in groupby(probe_kinds(), key=lambda kind: kind.group):
            if lines:
                lines.append(Option("", disabled=True))
            lines.append(Option(Text(group, secondary), disabled=True))
            lines += [
                Option(
                    Text.assemble(f"  {kind.name:<17}", (kind.about, secondary), no_wrap=True),
                    id=kind.name,
                )
                for kind in kinds
            ]
        return lines
