"""The process that measures σ, so that it can be cancelled.

Run as ``python -m mi_tui.checkpoints.relative_gap_process INSTRUCT THINKING`` it is that process:
progress and the outcome go as JSON lines to standard output.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from mi_tui.checkpoints.checks.compare import compare
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.threads import Progress
from mi_tui.checkpoints.relative_gap import Gap, GapCell, relative_gap
from mi_tui.errors import MiTuiError
from mi_tui.plan.scope import ModuleKind

_ASK_EVERY = 0.1
"""Seconds between two questions whether it was cancelled."""


def measure_gap(
    instruct: str, thinking: str, progress: Progress, cancelled: Callable[[], bool]
) -> Gap:
    """Measure σ between two checkpoints whose weights are on this machine.

    Args:
        instruct: a directory, hub id or ``bundled:`` name; nothing is downloaded.
        thinking: the other side.
        progress: told bytes read and bytes in all, of one side.
        cancelled: asked again and again; true ends the process.

    Raises:
        CheckpointError: the weights are not here, do not fit or cannot be read, or it was
            cancelled.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mi_tui.checkpoints.relative_gap_process", instruct, thinking],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ended = Event()
    watcher = Thread(target=_watch, args=(process, cancelled, ended), daemon=True)
    watcher.start()
    try:
        return _follow(process, progress, cancelled)
    finally:
        ended.set()
        process.kill()
        process.wait()


def _watch(process: "subprocess.Popen[str]", cancelled: Callable[[], bool], ended: Event) -> None:
    """End the process when it is cancelled, also while it says nothing."""
    while not ended.wait(_ASK_EVERY):
        if cancelled():
            process.terminate()
            return


def _follow(
    process: "subprocess.Popen[str]", progress: Progress, cancelled: Callable[[], bool]
) -> Gap:
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        message = json.loads(line)
        if "error" in message:
            raise CheckpointError(message["error"])
        if "gap" in message:
            return gap_from(message["gap"])
        progress(message["done"], message["total"])
    if cancelled():
        raise CheckpointError("measuring σ was cancelled")
    complaints = process.stderr.read().strip().splitlines()
    last = complaints[-1] if complaints else f"exit status {process.wait()}"
    raise CheckpointError(f"measuring σ failed: {last}")


def gap_from(content: dict[str, Any]) -> Gap:
    """The inverse of :meth:`Gap.as_dict`."""

    def sigma(value: float | None) -> float:
        return math.nan if value is None else value

    return Gap(
        sigma=sigma(content["sigma"]),
        cells=tuple(
            GapCell(
                cell["layer"], ModuleKind(cell["module"]), sigma(cell["sigma"]), cell["elements"]
            )
            for cell in content["cells"]
        ),
        by_layer={int(layer): sigma(value) for layer, value in content["layers"].items()},
        by_kind={ModuleKind(kind): sigma(value) for kind, value in content["modules"].items()},
    )


def _local(reference: str) -> CheckpointInfo:
    info = inspect(locate(reference, weights=False))
    if not all(file.is_file() for file in info.files):
        raise CheckpointError(
            f"σ reads the weights, and those of {reference} are not on this machine: "
            f"hf download {reference.partition('@')[0]}"
        )
    return info


def main() -> int:
    """The measuring process."""

    def tell(**message: object) -> None:
        print(json.dumps(message), flush=True)

    try:
        instruct, thinking = (_local(reference) for reference in sys.argv[1:3])
        errors = compare(instruct, thinking).errors
        if errors:
            raise CheckpointError(f"{errors[0].subject}: {errors[0].message}")
        gap = relative_gap(
            instruct, thinking, progress=lambda done, total: tell(done=done, total=total)
        )
    except MiTuiError as error:
        tell(error=str(error))
        return error.exit_code
    tell(gap=gap.as_dict())
    return 0


if __name__ == "__main__":
    sys.exit(main())
