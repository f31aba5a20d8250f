"""The base of the five steps: header, scrolling body, status line, footer, keys."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from mi_tui.plan.library import user_presets_folder
from mi_tui.text.plurals import counted
from mi_tui.tui.forms.draft import Draft
from mi_tui.tui.forms.draft_reader import Checked, check
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.screens.dialogs.ask import AskScreen, ConfirmScreen
from mi_tui.tui.studies.messages import NextStep, SavePreset
from mi_tui.tui.widgets.choice import Checks, Choice
from mi_tui.tui.widgets.form import FormRow
from mi_tui.tui.widgets.step_header import Step, StepHeader

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def is_open(screen: Screen[Any]) -> bool:
    """Whether a screen is still there; asked after every wait, since the user may have left.

    An app that ends takes the widgets away first, and the screens then.
    """
    return screen.app.is_running and screen in screen.app.screen_stack


class GuideScreen(Screen[None]):
    """A step of the guide. F1 shows the page of help named by ``HELP_PAGE``."""

    HELP_PAGE: ClassVar[str]
    STEP: ClassVar[Step]
    AUTO_FOCUS = "#body Input, #body Choice, #body Checks"

    def compose(self) -> ComposeResult:
        """Header, body, status line, footer."""
        yield StepHeader(self.STEP)
        with VerticalScroll(id="body", can_focus=False):
            yield from self.compose_body()
        yield Static("", id="status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def compose_body(self) -> Iterable[Widget]:
        """The step's own widgets."""
        raise NotImplementedError

    def show_status(self, text: str | Text) -> None:
        """Say in the line above the footer how things stand."""
        self.query_one("#status", Static).update(text)


class FormScreen(GuideScreen):
    """A step that edits the draft: every change is read at once, problems stand at their row."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Next", id="step.next", tooltip="Go to the next step"),
        Binding(
            "escape",
            "app.pop_screen",
            "Back",
            id="step.back",
            tooltip="Go back; what you typed is kept",
        ),
        Binding(
            "f2",
            "save",
            "Save",
            id="step.save",
            tooltip="Keep these settings as a preset of your own",
        ),
    ]
    FIELDS: ClassVar[dict[str, str]] = {}
    """The draft's fields on this screen, and the id of the row that shows each one's problem."""
    HAS_FORECAST: ClassVar[bool] = False
    """Whether what the fields amount to stands at the foot, or beside them where it is wide."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft
        self.checked: Checked = check(draft)

    def compose(self) -> ComposeResult:
        """As every step; with the forecast where the step has one."""
        if not self.HAS_FORECAST:
            yield from super().compose()
            return
        yield StepHeader(self.STEP)
        with Container(id="form-panes"):
            with VerticalScroll(id="body", can_focus=False):
                yield from self.compose_body()
            yield Static("", id="forecast", markup=False)
        yield Static("", id="status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show how the fields stand."""
        self.show_checked()

    def on_resize(self) -> None:
        """The forecast is written anew for the room it has."""
        self.call_after_refresh(self.show_forecast)

    def forecast(self, *, wide: bool) -> Text | None:
        """What the fields amount to; ``None`` keeps what was shown before."""
        del wide
        return None

    def show_forecast(self) -> None:
        """Write the forecast for the width there is."""
        text = self.forecast(wide=self.has_class("-wide")) if self.HAS_FORECAST else None
        if text is not None and self.is_mounted:
            self.query_one("#forecast", Static).update(text)

    def collect(self) -> Draft:
        """The draft with what the fields hold now."""
        raise NotImplementedError

    def fields(self) -> dict[str, str]:
        """As ``FIELDS``; a screen whose rows depend on the draft adds to them."""
        return self.FIELDS

    @on(Input.Changed)
    @on(Choice.Changed)
    @on(Checks.Changed)
    def edited(self) -> None:
        """Read all fields again."""
        draft = self.collect()
        if draft != self.draft:
            self.draft = draft
            self.read_again()

    def read_again(self) -> None:
        """Check the draft as it is now and show how it stands."""
        self.checked = check(self.draft)
        self.show_checked()

    @on(Input.Submitted)
    def submitted(self) -> None:
        """Enter in a field is Enter on the screen."""
        self.action_next()

    def show_checked(self) -> None:
        """Show each problem at its row, and how many there are."""
        problems: dict[str, list[str]] = {row: [] for row in self.fields().values()}
        for name, row in self.fields().items():
            if name in self.checked.problems:
                problems[row].append(self.checked.problems[name])
        for row, texts in problems.items():
            self.query_one(f"#{row}", FormRow).show_problem("; ".join(texts))
        wrong = sum(map(len, problems.values()))
        self.show_status(
            Text(f"✗ {counted(wrong, 'field')} to correct", style=self.colour("error"))
            if wrong
            else self.ready_words()
        )

    def ready_words(self) -> str | Text:
        """The status line when every field is valid."""
        return Text.assemble(
            ("✓ ", self.colour("success")), f"Enter goes to {Step(self.STEP + 1).title}"
        )

    def colour(self, name: str) -> str:
        """A colour of the theme by its name, as a style."""
        return rich_colour(self.app, name)

    def action_next(self) -> None:
        """Go on when the fields are valid, else to the first that is not."""
        wrong = next((n for n in self.fields() if n in self.checked.problems), None)
        if wrong is not None:
            self.app.bell()
            self._focus_row(self.fields()[wrong])
            return
        self.go_on()

    def go_on(self) -> None:
        """Ask for the next step."""
        self.post_message(NextStep(self.draft))

    def action_save(self) -> None:
        """Ask for a name and save the draft as a preset."""
        preset = self.checked.preset
        if preset is None:
            self.notify("Every step must be valid before it can be saved.", severity="warning")
            return

        def save(name: str | None) -> None:
            if name is None:
                return
            if not (user_presets_folder() / f"{name}.toml").exists():
                self.post_message(SavePreset(preset, name))
                return

            def replace(yes: bool | None) -> None:
                if yes:
                    self.post_message(SavePreset(preset, name))

            self.app.push_screen(ConfirmScreen(f"Replace your preset {name}?"), replace)

        name = re.sub(r"[^a-z0-9]+", "-", preset.title.lower()).strip("-") or "mine"
        self.app.push_screen(
            AskScreen("Save as a preset of which name?", name, _name_problem), save
        )

    def _focus_row(self, row: str) -> None:
        for widget in self.query_one(f"#{row}", FormRow).query("*"):
            if widget.focusable:
                widget.focus()
                return


def _name_problem(text: str) -> str:
    return "" if _NAME.fullmatch(text) else "letters, digits, dots and hyphens, at most 40"
