"""Exports from the app: files in a thread, the merged checkpoint in a process of its own."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from mi_tui.analysis.results import Recommendation
from mi_tui.export.format import FORMATS, Clipboard
from mi_tui.plan.preset import Preset
from mi_tui.present import numbers as formats_
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.studies.services import Services

SERVE = "serve"
"""The format whose text is the command that serves the study."""

ANSWER, LAMBDA = "answer", "lambda"
"""What stands for the answer in words and for the bare number among what can be copied."""


def copies() -> dict[str, Clipboard]:
    """What can be copied: the answer in words, and the formats that say how."""
    answer = Clipboard("answer", "the answer in words", "copied-answer.txt")
    number = Clipboard("λ", "the number alone", "copied-lambda.txt")
    own = {ANSWER: answer, LAMBDA: number}
    return own | {each.name: each.clipboard for each in FORMATS if each.clipboard}


@dataclass(frozen=True, slots=True)
class Copy:
    """A text for the clipboard and the file it also stands in."""

    text: str
    path: Path


@dataclass(frozen=True, slots=True)
class Serving:
    """The command that serves a study with λ per request, and the lines of its efforts."""

    command: str
    efforts: tuple[str, ...]


class Export:
    """Writes the answer of one study."""

    def __init__(self, services: Services, study: Path) -> None:
        self.folder = StudyFolder(study).exports
        self._services = services
        self._study = study
        self._running: Event | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of the formats that are ticked at first: those that are written at once."""
        return tuple(each.name for each in FORMATS if each.quick)

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
        *,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        """Write the formats into ``out``; the paths written.

        ``progress`` is told in words what is being written and how far it is; ``overwrite``
        replaces what the folder holds of another recipe or study.

        Raises:
            ExportConflictError: the folder holds something else.
            MiTuiError: something cannot be written, or the export was cancelled.
        """
        thread = Background("export")
        loop = asyncio.get_running_loop()
        self._running = cancelled = Event()

        def say(name: str, done: int, total: int) -> None:
            share = done / max(total, 1)
            words = f"{FORMATS[name].title} {formats_.bar(share, 16)} {formats_.percent(share)}"
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(progress, words)

        try:
            written: list[Path] = []
            for name in formats:
                progress(FORMATS[name].title)
                call = partial(
                    self._services.export,
                    self._study,
                    out,
                    name,
                    answer,
                    partial(say, name),
                    cancelled.is_set,
                    overwrite=overwrite,
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
            what: a key of :func:`copies`.
            out: the folder.
            answer: the recommendation.
            words: the recommendation as text.

        Raises:
            MiTuiError: the study cannot be read or the file not be written.
        """
        thread = Background("copy")

        def make() -> Copy:
            text = f"{answer.lambda_:g}" if what == LAMBDA else words
            if what not in (ANSWER, LAMBDA):
                text = self._services.copied_text(self._study, out, what, answer)
            return Copy(text, self._services.write_text(out / copies()[what].file_name, text))

        try:
            return await thread.run(make)
        finally:
            thread.close()

    async def serving(self, out: Path, answer: Recommendation, preset: Preset) -> Serving:
        """How the study is served, and what its requests could name.

        Args:
            out: the folder of exports.
            answer: the recommendation.
            preset: of the study.

        Raises:
            MiTuiError: the study cannot be read.
        """
        thread = Background("serving")

        def make() -> Serving:
            # Here, as scipy's curves stand behind it.
            from mi_tui.analysis.recommendation.efforts import serve_plan
            from mi_tui.present.efforts import effort_lines

            command = self._services.copied_text(self._study, out, SERVE, answer).strip()
            plan = serve_plan(answer, preset)
            return Serving(command, tuple(effort_lines(plan.lambda_, plan.efforts, plan.measured)))

        try:
            return await thread.run(make)
        finally:
            thread.close()
