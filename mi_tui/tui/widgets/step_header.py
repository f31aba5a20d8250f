"""The header of a step: the five steps, and the present one."""

from enum import IntEnum
from typing import ClassVar

from rich.text import Text
from textual.widget import Widget


class Step(IntEnum):
    """The five steps of the guide."""

    MODELS = 1
    BUDGET = 2
    SCOPE = 3
    PROBE = 4
    RECOMMEND = 5

    @property
    def title(self) -> str:
        """The step's name on screen."""
        return "Recommend & export" if self is Step.RECOMMEND else self.name.capitalize()


class StepHeader(Widget):
    """Done steps carry a check mark, the current one stands out, later ones are dim."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "step--brand",
        "step--done",
        "step--current",
        "step--later",
    }

    def __init__(self, current: Step) -> None:
        super().__init__()
        self._current = current

    def render(self) -> Text:
        """The line, shortened to the step's name where the terminal is narrow."""
        line = Text(" mi-tui ", style=self._style("brand"), no_wrap=True, overflow="ellipsis")
        for step in Step:
            line.append(" " if step is Step.MODELS else " › ", style=self._style("later"))
            if step < self._current:
                line.append(f"✓ {step.title}", style=self._style("done"))
            elif step is self._current:
                line.append(f" {step.value} {step.title} ", style=self._style("current"))
            else:
                line.append(f"{step.value} {step.title}", style=self._style("later"))
        return line

    def _style(self, part: str) -> "str":
        return str(self.get_component_rich_style(f"step--{part}"))
