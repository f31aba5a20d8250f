"""A safetensors file written in parts by several threads, and digested on the way."""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.kernels.raw_bytes import Bytes
from mi_tui.checkpoints.merging.manifest import FileRecord
from mi_tui.checkpoints.merging.shards import Shard

_BLOCK = 1 << 18
_SENT_AT_ONCE = 1 << 26


class ShardFile:
    """The output file of one shard.

    Parts may be finished in any order; the digest follows in the order of the file, made by
    whichever thread finds that the next part is complete. A part that is still in memory is
    digested from there, and read back from the file otherwise.

    Args:
        folder: where the file is created.
        shard: its name, header and tensors.
        release: receives each part's memory when it is no longer needed.
    """

    def __init__(self, folder: Path, shard: Shard, release: Callable[[Bytes], None]) -> None:
        self._path = folder / shard.name
        self._shard = shard
        self._release = release
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        os.pwrite(self._descriptor, shard.header, 0)
        self._digest = hashlib.sha256(shard.header)
        self._digested = len(shard.header)
        self._sent = 0
        self._finished: dict[int, tuple[int, Bytes | None]] = {}
        self._turn = threading.Lock()

    def write(self, position: int, raw: Bytes) -> None:
        """Write bytes at a position of the file."""
        view = raw
        while view:
            written = os.pwrite(self._descriptor, view, position)
            view, position = view[written:], position + written

    def finish(self, start: int, stop: int, content: Bytes | None) -> None:
        """Say that the bytes from ``start`` to ``stop`` are written, and digest what can be.

        ``content`` is memory that begins with those bytes; ``release`` receives it. ``None``
        where they are in the file only.
        """
        self._finished[start] = (stop, content)
        while self._digested in self._finished and self._turn.acquire(blocking=False):
            try:
                self._digest_finished()
            finally:
                self._turn.release()

    def close(self) -> FileRecord:
        """Wait until everything is on disk; returns the file's record."""
        if self._digested != self._shard.nbytes:
            raise RuntimeError(f"{self._path.name} is incomplete")
        os.fsync(self._descriptor)
        self.abandon()
        return FileRecord(self._path.name, self._shard.nbytes, self._digest.hexdigest())

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _digest_finished(self) -> None:
        while (part := self._finished.pop(self._digested, None)) is not None:
            stop, content = part
            if content is None:
                self._digest_file(stop)
            else:
                self._digest.update(content[: stop - self._digested])
                self._release(content)
            self._digested = stop
            if stop - self._sent >= _SENT_AT_ONCE:
                _start_writeback(self._descriptor, self._sent, stop)
                self._sent = stop

    def _digest_file(self, stop: int) -> None:
        buffer = bytearray(_BLOCK)
        position = self._digested
        while position < stop:
            view = memoryview(buffer)[: stop - position]
            got = os.preadv(self._descriptor, [view], position)
            if not got:
                raise CheckpointError(f"{self._path} became shorter while it was written")
            self._digest.update(view[:got])
            position += got


def _start_writeback(descriptor: int, start: int, stop: int) -> None:
    """Let the disk begin with these bytes now, so that the sync at the end finds little to do.

    Linux does so on this advice; the bytes stay in the cache, because they are being written.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, stop - start, os.POSIX_FADV_DONTNEED)
