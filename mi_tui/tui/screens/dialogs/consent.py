"""The question whether code of others may run."""

from collections.abc import Iterable

from mi_tui.plan.remote_code import RemoteCode
from mi_tui.probes.text import safe_text
from mi_tui.tui.screens.dialogs.ask import ConfirmScreen


class ConsentScreen(ConfirmScreen):
    """Names the code that would run, and asks for a yes."""

    def __init__(self, codes: Iterable[RemoteCode]) -> None:
        listed = "\n".join(f"  {safe_text(code.words, 300)}" for code in codes)
        super().__init__(
            f"Let this code run with your rights?\n\n{listed}\n\nRead it first. The answer is "
            "kept for this revision; mi-tui trust --revoke takes it back."
        )
