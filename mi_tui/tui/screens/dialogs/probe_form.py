"""The form of one probe: its problems, how many, and its weight."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Static

from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.probe_kind import kind_of
from mi_tui.tui.forms.probe_fields import read_probe, texts_of
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.completion import FileSuggester
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.dialogs.ask import ConfirmScreen
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.form import Answer, FormRow, text_field


class ProbeFormScreen(Dialog[AnyProbe | None]):
    """Edits a probe; every field is read as it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "dismiss(None)", "Cancel", id="probe-form.cancel", tooltip="Change nothing"
        ),
    ]

    def __init__(self, plan: AnyProbe, title: str, services: Services | None = None) -> None:
        super().__init__()
        self._services = services or Services()
        self._thread = Background("probe form")
        self._looking = False
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
                box = text_field(
                    f"probe-{field.name}",
                    texts[field.name],
                    width=width,
                    kind=Answer,
                    suggester=FileSuggester() if field.is_path else None,
                )
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
        """Take the probe when it is valid, and its file as well."""
        if self._read is None:
            self.app.bell()
        elif not self._looking:
            self._looking = True
            start(self, partial(self._look, self._read))

    def on_unmount(self) -> None:
        """Let the thread end."""
        self._thread.close()

    async def _look(self, plan: AnyProbe) -> None:
        """Read the probe's file, and take the probe or say what is wrong with the file."""
        faults = await self._thread.run(partial(self._services.probe_faults, plan))
        proposal = None
        if faults:
            proposal = await self._thread.run(partial(self._services.probe_proposal, plan))
        self._looking = False
        if not self.is_attached:  # it was cancelled meanwhile
            return
        if proposal is not None:
            self.app.push_screen(
                ConfirmScreen(proposal.question), partial(self._proposed, proposal.plan, faults)
            )
        elif faults:
            self._refuse(plan, faults)
        else:
            self.dismiss(plan)

    def _proposed(self, plan: AnyProbe, faults: Sequence[str], taken: bool | None) -> None:
        """Fill in what was proposed and take the probe, or say what is wrong without it."""
        if not taken:
            self._refuse(plan, faults)
            return
        for name, text in texts_of(plan).items():
            self.query_one(f"#probe-{name}", Input).value = text
        self._looking = True
        start(self, partial(self._look, plan))

    def _refuse(self, plan: AnyProbe, faults: Sequence[str]) -> None:
        self.app.bell()
        fields = kind_of(plan.kind).form
        name = next((field.name for field in fields if field.is_path), fields[0].name)
        self.query_one(f"#row-{name}", FormRow).show_problem("\n  ".join(faults))
        self.set_focus(self.query_one(f"#probe-{name}"))
