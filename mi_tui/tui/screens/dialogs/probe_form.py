"""The form of one probe: its problems, how many, and its weight."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Static

from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.probe_kind import kind_of
from mi_tui.tui.forms.probe_fields import read_probe, texts_of
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.widgets.form import Answer, FormRow, text_field


class ProbeFormScreen(Dialog[AnyProbe | None]):
    """Edits a probe; every field is read as it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "dismiss(None)", "Cancel", id="probe-form.cancel", tooltip="Change nothing"
        ),
    ]

    def __init__(self, plan: AnyProbe, title: str) -> None:
        super().__init__()
        self._plan = plan
        self._title = title
        self._read: AnyProbe | None = plan

    def compose(self) -> ComposeResult:
        """A row for each field of this kind."""
        kind = kind_of(self._plan.kind)
        texts = texts_of(self._plan)
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Static(f"{self._title} · {kind.name}", classes="heading", markup=False)
            yield Static(kind.about, classes="dialog-about", markup=False)
            for field in kind.form:
                width = 32 if field.wide else 12
                box = text_field(f"probe-{field.name}", texts[field.name], width=width, kind=Answer)
                yield FormRow(field.label, box, hint=field.help(), id=f"row-{field.name}")
            yield Static("Enter takes it · Escape cancels", classes="dialog-keys", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    @on(Input.Changed)
    def edited(self) -> None:
        """Say at each field what is wrong with it."""
        texts = {
            field.name: self.query_one(f"#probe-{field.name}", Input).value
            for field in kind_of(self._plan.kind).form
        }
        self._read, problems = read_probe(self._plan, texts)
        for name in texts:
            self.query_one(f"#row-{name}", FormRow).show_problem(problems.get(name, ""))

    @on(Input.Submitted)
    def submitted(self) -> None:
        """Take the probe when it is valid."""
        if self._read is None:
            self.app.bell()
        else:
            self.dismiss(self._read)
