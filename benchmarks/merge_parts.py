"""The parts of a merge in one thread, each by itself: the least it can take.

    python -m benchmarks.merge_parts [--folder /dev/shm] [--rounds 5]

The parts are those that no order of work spares: reading both sides, mixing, writing the result
into new pages, and its SHA-256. Their sum divided by the cores, and a start of Python with its
imports, is the wall time of a merge that loses nothing.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.merge_pair import write_pair
from mi_tui.checkpoints.kernels.compiled_kernel import make_kernel
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, Raw, memory
from mi_tui.checkpoints.merging.pipeline import PART_BYTES

Parts = dict[str, float]
"""Seconds of each part."""

IMPORTS = "import mi_tui.cli.main, mi_tui.checkpoints.merging.write"
"""What Python does before a merge begins."""

_CHUNK_BYTES = 2 * CHUNK


def measure_parts(instruct: Path, thinking: Path, scratch: Path) -> Parts:
    """Time each part for a pair of bf16 checkpoints; the file ``scratch`` is there meanwhile."""
    sides = [sorted(side.glob("*.safetensors")) for side in (instruct, thinking)]
    nbytes = sum(file.stat().st_size for file in sides[0])
    parts = {
        "SHA-256 of the result": _timed(partial(_digest, nbytes)),
        "writing it": _timed(partial(_write, scratch, nbytes)),
        "reading both sides": _timed(partial(_read, [*sides[0], *sides[1]])),
        "mixing": _timed(partial(_mix, nbytes)),
    }
    scratch.unlink()
    return parts


def in_words(rounds: Sequence[Parts], start: float, cores: int) -> str:
    """The medians of the parts, and the least that a merge takes on so many cores.

    Args:
        rounds: what :func:`measure_parts` gave, round after round.
        start: seconds that the imports take, which one core does alone.
        cores: how many cores share the parts.
    """
    parts = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
    each = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
    shared = sum(parts.values()) / cores
    # One file has one digest, which can only be made in order.
    least = start + max(shared, parts["SHA-256 of the result"])
    return (
        f"Each part by itself in one thread: {each}. Shared by {cores} cores without loss, after "
        f"{start:.2f} s of imports, that is {least:.2f} s: the least that a merge can take here."
    )


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _import() -> None:
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)


def _digest(nbytes: int) -> None:
    digest, part = hashlib.sha256(), bytes(PART_BYTES)
    for _ in range(nbytes // PART_BYTES):
        digest.update(part)


def _write(file: Path, nbytes: int) -> None:
    part = bytes(_CHUNK_BYTES)
    with _opened(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC) as descriptor:
        for position in range(0, nbytes, _CHUNK_BYTES):
            os.pwrite(descriptor, part, position)


def _read(files: Sequence[Path]) -> None:
    buffer = memory(_CHUNK_BYTES)
    for file in files:
        with _opened(file, os.O_RDONLY) as descriptor:
            position = 0
            while got := os.preadv(descriptor, [buffer], position):
                position += got


def _mix(nbytes: int) -> None:
    kernel = make_kernel()
    sides = [Raw("BF16", memory(_CHUNK_BYTES)) for _ in range(2)]
    out = memory(_CHUNK_BYTES)
    for _ in range(nbytes // _CHUNK_BYTES):
        kernel.mix(sides[0], [(0.55, sides[1])], "BF16", out)


@contextmanager
def _opened(file: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(file, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    start = _timed(_import)
    work = Path(tempfile.mkdtemp(prefix="merge-parts-", dir=arguments.folder))
    try:
        sides = write_pair(work / "pair")
        rounds = [measure_parts(*sides, work / "out") for _ in range(arguments.rounds)]
    finally:
        shutil.rmtree(work)
    print(in_words(rounds, start, len(os.sched_getaffinity(0))))


if __name__ == "__main__":
    main()
