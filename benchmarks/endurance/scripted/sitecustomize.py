"""Puts a scripted engine or a moved clock in place of the real one, where a test asks for it.

Python runs this first in every process on whose path it is.
"""

import os
import sys
import time
from pathlib import Path

if clock := os.environ.get("MI_TUI_MOVED_CLOCK"):
    _real_time = time.time
    _file = Path(clock)

    def _moved_time() -> float:
        """The time of day, moved by the seconds in a file."""
        try:
            return _real_time() + float(_file.read_text(encoding="ascii") or 0)
        except (OSError, ValueError):
            return _real_time()

    time.time = _moved_time

if project := os.environ.get("MI_TUI_SCRIPTED_ENGINE"):
    sys.path.append(project)
    import mi_tui.engines.open
    from benchmarks.endurance.scripted_engine import open_scripted

    mi_tui.engines.open.open_engine = open_scripted
