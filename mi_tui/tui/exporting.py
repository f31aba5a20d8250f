"""Exports from the app: files in a thread, the merged checkpoint in a process of its own."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType

from mi_tui.study.folder import StudyFolder
from mi_tui.study.results import Recommendation
from mi_tui.tui import formats as formats_
from mi_tui.tui.background import Background
from mi_tui.tui.services import Services

EXPORTS = MappingProxyType(
    {
        "preset": "preset",
        "json": "JSON",
        "csv": "CSV",
        "mergekit": "mergekit YAML",
        "report": "HTML report",
        "serve": "serve.sh",
        "checkpoint": "merged checkpoint",
    }
)
"""What can be exported, and its name on screen."""


class Export:
    """Writes the answer of one study."""

    formats: tuple[str, ...] = ("preset", "json", "csv", "mergekit", "report", "serve")

    def __init__(self, services: Services, study: Path) -> None:
        self.folder = StudyFolder(study).exports
        self._services = services
        self._study = study

    async def write(
        self,
        out: Path,
        formats: tuple[str, ...],
        answer: Recommendation,
        progress: Callable[[str], None],
    ) -> tuple[Path, ...]:
        """Write the formats into ``out``; the paths written.

        Raises:
            MiTuiError: something cannot be written.
        """
        thread = Background("export")
        loop = asyncio.get_running_loop()

        def say(name: str, done: int, total: int) -> None:
            words = f"{EXPORTS[name]}: {formats_.percent(done / max(total, 1))}"
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(progress, words)

        try:
            written: list[Path] = []
            for name in formats:
                progress(EXPORTS[name])
                call = partial(
                    self._services.export, self._study, out, name, answer, partial(say, name)
                )
                written += await thread.run(call)
            return tuple(written)
        finally:
            thread.close()
