"""The paired table and the heat maps of an ablation, for the room there is."""

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import Static

from mi_tui.errors import MiTuiError
from mi_tui.present.ablation import ablation_picture
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.studies.watched_study import WatchedStudy

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult


class PairedTable(Static):
    """Every row's differences from the full interpolation; drawn anew when the width changes."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Comparing the rows …", id=id)
        self._result: AblationResult | None = None
        self._width = 0

    async def read(self, session: WatchedStudy) -> None:
        """Compare the rows of the study, and show the differences or why there are none."""
        try:
            result = await session.ablation_result()
        except MiTuiError as error:
            if self.is_mounted:
                self.update(Text(str(error)))
            return
        if self.is_mounted:
            self._result = result
            self.draw_again()

    def on_resize(self) -> None:
        """Draw for a new width; what is drawn changes the height, which is no reason."""
        if self.size.width != self._width:
            self.draw_again()

    def draw_again(self) -> None:
        """Draw the same comparison, perhaps in another theme's colours or another width."""
        if self._result is not None and self.size.width:
            self._width = self.size.width
            accent = rich_colour(self.app, "primary")
            self.update(ablation_picture(self._result, self.size.width, accent))
