"""The merged checkpoint, as a directory."""

from collections.abc import Callable
from pathlib import Path

from mi_tui.export.format import FORMATS, ExportFormat, Progress, Subject


class CheckpointFormat(ExportFormat):
    """The recommended model's weights with config, tokenizer and model card."""

    name = "checkpoint"
    title = "merged checkpoint"
    about = "the merged model, ready to load; takes as long as its bytes"
    file_name = "checkpoint"
    order = 70
    of_weights = True
    quick = False

    def write(
        self, subject: Subject, path: Path, progress: Progress, cancelled: Callable[[], bool]
    ) -> None:
        """Write the directory; ``progress`` is told bytes."""
        from mi_tui.export.checkpoint_process import export_checkpoint

        export_checkpoint(subject, path, progress, cancelled)


FORMATS.register(CheckpointFormat())
