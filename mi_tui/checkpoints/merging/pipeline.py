"""The merge pipeline: shards computed, written and digested by threads in bounded memory.

Each thread takes the next stretch of a tensor, computes it chunk by chunk into a buffer, writes
every chunk while it is in the cache, and hands the buffer to the file, which digests it in the
file's order. The kernel, the digest and the file system all work without Python's lock. A digest
is made by one thread at a time, about as fast as two others compute; so where there are more,
they work at several files.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mi_tui.checkpoints.headers import BITS
from mi_tui.checkpoints.kernels.raw_bytes import Bytes, memory
from mi_tui.checkpoints.merging.manifest import FileRecord
from mi_tui.checkpoints.merging.shard_file import ShardFile
from mi_tui.checkpoints.merging.shards import Shard
from mi_tui.checkpoints.merging.tensor_plan import TensorPlan
from mi_tui.checkpoints.merging.tensor_worker import Sources, TensorWorker
from mi_tui.checkpoints.merging.threads import Progress, Tally, thread_count, watch

PART_BYTES = 1 << 20
"""What is written and digested at once: small beside a tensor, large beside Python's overhead."""

_PATIENCE = 0.05


def write_shards(
    folder: Path,
    shards: Sequence[Shard],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[FileRecord, ...], tuple[str, ...]]:
    """Write all weights; returns the files' records and the tensors with NaN or Inf.

    Args:
        folder: where the files are created.
        shards: what to write.
        threads: all cores, and at most eight, unless told otherwise.
        progress: receives bytes done and bytes in all, about ten times a second.

    Raises:
        CheckpointError: integer tensors differ, or a file became shorter.
        OSError: a file cannot be read or written.
    """
    threads = threads or thread_count()
    with ExitStack() as stack:
        sources = Sources()
        stack.callback(sources.close)
        buffers = _Buffers(2 * threads + 4)
        files = []
        for shard in shards:
            files.append(ShardFile(folder, shard, buffers.give_back))
            stack.callback(files[-1].abandon)
            for tensor, _ in shard.places:
                for file in tensor.files:
                    sources.open(file)
        stretches = _stretches(files, shards, abreast=(threads + 1) // 2)
        total = sum(tensor.nbytes for shard in shards for tensor, _ in shard.places)
        shared = _Shared(stretches, buffers, Tally(total))
        workers = [TensorWorker(sources) for _ in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            running = [pool.submit(_work, worker, shared) for worker in workers]
            watch(running, shared.tally, progress)
            records = tuple(pool.map(ShardFile.close, files))
    return records, tuple(sorted(set().union(*(worker.nonfinite for worker in workers))))


class _Buffers:
    """Memory for parts between their computation and their digest, reused."""

    def __init__(self, count: int) -> None:
        self._free: list[Bytes] = [memory(PART_BYTES) for _ in range(count)]
        self._changed = threading.Condition()

    def take(self, patience: float) -> Bytes | None:
        """A free buffer, or ``None`` when there is none even after ``patience`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._free, patience)
            return self._free.pop() if self._free else None

    def give_back(self, buffer: Bytes) -> None:
        """Make a buffer free again."""
        with self._changed:
            self._free.append(buffer)
            self._changed.notify()


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Elements of one tensor that one thread computes, and where the tensor lies in its file."""

    file: ShardFile
    tensor: TensorPlan
    place: int
    start: int
    stop: int

    def parts(self) -> Iterator[tuple[int, int]]:
        """First element and the one behind the last of what fits into a buffer."""
        step = _part_elements(self.tensor)
        for start in range(self.start, self.stop, step):
            yield start, min(start + step, self.stop)


@dataclass
class _Shared:
    """What the threads share: the stretches left, free buffers, and the bytes done."""

    stretches: Iterator[_Stretch]
    buffers: _Buffers
    tally: Tally
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_stretch(self) -> _Stretch | None:
        with self.lock:
            return next(self.stretches, None)


def _stretches(
    files: Sequence[ShardFile], shards: Sequence[Shard], abreast: int
) -> Iterator[_Stretch]:
    """All stretches, each file's in its order, of ``abreast`` files by turns."""
    waiting = (_stretches_of(*pair) for pair in zip(files, shards, strict=True))
    under_way = deque(islice(waiting, abreast))
    while under_way:
        file = under_way.popleft()
        if (stretch := next(file, None)) is not None:
            yield stretch
            under_way.append(file)
        else:
            under_way.extend(islice(waiting, 1))


def _stretches_of(file: ShardFile, shard: Shard) -> Iterator[_Stretch]:
    for tensor, place in shard.places:
        # A method may look at a whole tensor first, so one thread takes it whole.
        step = _part_elements(tensor) if tensor.merge is None else max(tensor.count, 1)
        for start in range(0, tensor.count, step):
            yield _Stretch(file, tensor, place, start, min(tensor.count, start + step))


def _part_elements(tensor: TensorPlan) -> int:
    return PART_BYTES * 8 // BITS[tensor.dtype]


def _work(worker: TensorWorker, shared: _Shared) -> None:
    """What each thread does: take stretches until none is left."""
    own = memory(PART_BYTES)
    while (stretch := shared.next_stretch()) is not None:
        # Stretches of whole tensors finish out of order for long: waiting could be for ever.
        patience = _PATIENCE if stretch.tensor.merge is None else 0.0
        for start, stop in stretch.parts():
            buffer = shared.buffers.take(patience)
            _do_part(worker, stretch, (start, stop), own if buffer is None else buffer)
            _finish(stretch, (start, stop), buffer)
            shared.tally.add(_nbytes(stretch.tensor, stop - start))


def _do_part(worker: TensorWorker, stretch: _Stretch, part: tuple[int, int], buffer: Bytes) -> None:
    for first, raw in worker.compute(stretch.tensor, *part, buffer):
        stretch.file.write(stretch.place + _nbytes(stretch.tensor, first), raw)


def _finish(stretch: _Stretch, part: tuple[int, int], buffer: Bytes | None) -> None:
    start, stop = (stretch.place + _nbytes(stretch.tensor, element) for element in part)
    stretch.file.finish(start, stop, buffer)


def _nbytes(tensor: TensorPlan, elements: int) -> int:
    return elements * BITS[tensor.dtype] // 8
