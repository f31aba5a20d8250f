"""The keys that work on every screen."""

from typing import ClassVar

from textual.binding import Binding, BindingType


class Everywhere:
    """The app's own bindings, apart from the app: the list of keys must not import it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f1", "help", "Help", id="app.help", tooltip="The idea of this screen, and its keys"
        ),
        Binding(
            "f3,ctrl+o",
            "jump",
            "Jump",
            show=False,
            id="app.jump",
            tooltip="Go to any field by a letter",
        ),
        Binding(
            "question_mark",
            "keys",
            "Keys",
            key_display="?",
            show=False,
            id="app.keys",
            tooltip="The keys of this screen",
        ),
        Binding(
            "ctrl+q",
            "quit",
            "Quit",
            show=False,
            priority=True,  # over modal screens, too: leaving is possible at any moment
            id="app.quit",
            tooltip="Leave; running studies go on",
        ),
    ]
