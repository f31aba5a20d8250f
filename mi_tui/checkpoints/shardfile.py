"""A safetensors file written in pieces by several threads, and digested on the way."""

import hashlib
import os
import threading
from pathlib import Path

from mi_tui.checkpoints.blend import Bytes
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.manifest import FileRecord
from mi_tui.checkpoints.shards import Shard

_BLOCK = 1 << 18


class ShardFile:
    """The output file of one shard.

    Pieces may be finished in any order; the digest follows in the order of the file, done by
    whichever thread finds that the next piece is complete.
    """

    def __init__(self, folder: Path, shard: Shard) -> None:
        self._path = folder / shard.name
        self._shard = shard
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        os.pwrite(self._descriptor, shard.header, 0)
        self._digest = hashlib.sha256(shard.header)
        self._hashed = len(shard.header)
        self._finished: dict[int, int] = {}
        self._turn = threading.Lock()

    def write(self, position: int, raw: Bytes) -> None:
        """Write bytes at a position of the file."""
        view = memoryview(raw.data)
        while view:
            written = os.pwrite(self._descriptor, view, position)
            view, position = view[written:], position + written

    def finish(self, start: int, stop: int) -> None:
        """Say that the bytes from ``start`` to ``stop`` are written, and digest what can be."""
        self._finished[start] = stop
        while self._hashed in self._finished and self._turn.acquire(blocking=False):
            try:
                self._digest_finished()
            finally:
                self._turn.release()

    def close(self) -> FileRecord:
        """Wait until everything is on disk; returns the file's record."""
        if self._hashed != self._shard.nbytes:
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
        buffer = bytearray(_BLOCK)
        while (stop := self._finished.pop(self._hashed, None)) is not None:
            position = self._hashed
            while position < stop:
                view = memoryview(buffer)[: stop - position]
                got = os.preadv(self._descriptor, [view], position)
                if not got:
                    raise CheckpointError(f"{self._path} became shorter while it was written")
                self._digest.update(view[:got])
                position += got
            self._hashed = stop
