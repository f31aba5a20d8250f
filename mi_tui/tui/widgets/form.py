"""Fields of a form: label, controls, hint, and what is wrong below."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Label, Static


class FormRow(Vertical):
    """A label and its controls in one line; a problem appears below in the row's own place."""

    def __init__(
        self, label: str, *controls: Widget, hint: str = "", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._label = label
        self._controls = controls
        self._hint = hint
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Lay the row out."""
        with Horizontal(classes="form-line"):
            yield Label(self._label, classes="form-label", markup=False)
            yield from self._controls
            yield Static(self._hint, classes="form-hint", markup=False)
        yield Static("", classes="form-problem", markup=False)

    def show_problem(self, problem: str) -> None:
        """Show what is wrong, or take it away with an empty text."""
        if problem != self._problem:
            self._problem = problem
            line = self.query_one(".form-problem", Static)
            line.update(Text(f"✗ {problem}"))
            self.set_class(bool(problem), "-problem")

    def show_hint(self, hint: str) -> None:
        """Change the hint beside the controls."""
        if hint != self._hint:
            self._hint = hint
            self.query_one(".form-hint", Static).update(Text(hint))


class Field(Input):
    """A one-line input that shows in the footer what Enter does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Next", id="field.enter", tooltip="Go to the next step"),
    ]


class Answer(Field):
    """A field of a dialog: Enter takes what was typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Take it", id="answer.enter", tooltip="Take what was typed"),
    ]


def text_field(
    id: str,
    value: str,
    *,
    width: int | None = None,
    placeholder: str = "",
    suggester: Suggester | None = None,
    kind: type[Field] = Field,
) -> Field:
    """A one-line input; ``width`` in columns, or as wide as there is room.

    What it holds is selected when it gets the focus: typing replaces it, an arrow key keeps it.
    """
    field = kind(
        value,
        placeholder=placeholder,
        compact=True,
        id=id,
        select_on_focus=True,
        suggester=suggester,
    )
    field.cursor_blink = False
    field.styles.width = width if width is not None else "1fr"
    return field


def words(text: str) -> Label:
    """A few words between the controls of a row."""
    return Label(text, classes="form-words", markup=False)


class Lead(Vertical):
    """The heading of a screen: a question, and one sentence on it where there is room."""

    def __init__(self, question: str, sentence: str = "") -> None:
        lines = [Static(question, classes="lead-question", markup=False)]
        if sentence:
            lines.append(Static(sentence, classes="lead-sentence", markup=False))
        super().__init__(*lines)
