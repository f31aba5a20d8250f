"""A list to choose from, with vim's keys beside the arrows."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import OptionList


class MenuList(OptionList):
    """Lines to choose from; headings are disabled lines that the cursor passes over."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False, id="list.down", tooltip="Next line"),
        Binding("k", "cursor_up", "Up", show=False, id="list.up", tooltip="Previous line"),
        Binding("g", "first", "First", show=False, id="list.first", tooltip="First line"),
        Binding("G", "last", "Last", show=False, id="list.last", tooltip="Last line"),
    ]
