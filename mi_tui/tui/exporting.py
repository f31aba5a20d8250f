"""Exports from the app: files in a thread, the merged checkpoint in a process of its own."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from mi_tui.study.folder import StudyFolder
from mi_tui.study.results import Recommendation
from mi_tui.tui.background import Background
from mi_tui.tui.services import Services

EXPORTS = MappingProxyType(
    {
        "preset": "preset",
        "json": "JSON",
        "csv": "CSV",
        "mergekit": "mergekit YAML",
        "checkpoint": "merged checkpoint",
    }
)
"""What can be exported, and its name on screen."""


class Export:
    """Writes the answer of one study."""

    formats: tuple[str, ...] = ("preset", "json", "csv", "mergekit")

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
        try:
            written: list[Path] = []
            for name in formats:
                progress(EXPORTS[name])
                written += await thread.run(
                    lambda name=name: self._services.export(  # type: ignore[misc]
                        self._study, out, name, answer
                    )
                )
            return tuple(written)
        finally:
            thread.close()
