"""Exports from the app: files in a thread, the merged checkpoint in a process of its own."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from types import MappingProxyType

from mi_tui.analysis.results import Recommendation
from mi_tui.present import numbers as formats_
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.studies.services import CopyError, Services

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

COPIES = MappingProxyType(
    {
        "answer": ("answer", "the answer in words", "answer.txt"),
        "preset": ("config", "the preset that runs this again", "preset.toml"),
        "serve": ("serve command", "serves the merged checkpoint with vLLM", "serve-command.txt"),
    }
)
"""What can be copied: its name, what it is, and the file it is also written to."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A text for the clipboard and the file it also stands in."""

    text: str
    path: Path


class Export:
    """Writes the answer of one study."""

    formats: tuple[str, ...] = ("preset", "json", "csv", "mergekit", "report", "serve")

    def __init__(self, services: Services, study: Path) -> None:
        self.folder = StudyFolder(study).exports
        self._services = services
        self._study = study
        self._running: Event | None = None

    @property
    def is_running(self) -> bool:
        """Whether an export is under way."""
        return self._running is not None

    def cancel(self) -> bool:
        """End the export that is under way; whether there was one."""
        if self._running is None:
            return False
        self._running.set()
        return True

    async def write(
        self,
        out: Path,
        formats: tuple[str, ...],
        answer: Recommendation,
        progress: Callable[[str], None],
    ) -> tuple[Path, ...]:
        """Write the formats into ``out``; the paths written.

        ``progress`` is told in words what is being written and how far it is.

        Raises:
            MiTuiError: something cannot be written, or the export was cancelled.
        """
        thread = Background("export")
        loop = asyncio.get_running_loop()
        self._running = cancelled = Event()

        def say(name: str, done: int, total: int) -> None:
            share = done / max(total, 1)
            words = f"{EXPORTS[name]} {formats_.bar(share, 16)} {formats_.percent(share)}"
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(progress, words)

        try:
            written: list[Path] = []
            for name in formats:
                progress(EXPORTS[name])
                call = partial(
                    self._services.export,
                    self._study,
                    out,
                    name,
                    answer,
                    partial(say, name),
                    cancelled.is_set,
                )
                written += await thread.run(call)
            return tuple(written)
        finally:
            cancelled.set()
            self._running = None
            thread.close()

    async def copy(self, what: str, out: Path, answer: Recommendation, words: str) -> Copy:
        """The text to copy, which is also written to a file in ``out``.

        Args:
            what: a key of :data:`COPIES`.
            out: the folder.
            answer: the recommendation.
            words: the recommendation as text.

        Raises:
            MiTuiError: the study cannot be read or the file not be written.
        """
        thread = Background("copy")

        def make() -> Copy:
            if what == "preset":
                (path,) = self._services.export(
                    self._study, out, what, answer, lambda *_: None, lambda: False
                )
                return Copy(_read(path), path)
            text = words if what == "answer" else self._services.serve_command(out) + "\n"
            return Copy(text, self._services.write_text(out / COPIES[what][2], text))

        try:
            return await thread.run(make)
        finally:
            thread.close()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CopyError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
