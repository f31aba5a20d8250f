"""The identity of a checkpoint's weights: enough to notice that they are others.

A checkpoint of the hub is known by its commit. A local one is known by each weight file's size,
time of change, header and a sample of its numbers, and by the digests of the small files that
decide what the weights mean. The bundled pair is small enough to be known by its content: every
installation changes its times.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.headers import read_header
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate

_BUNDLED = "bundled:"

_MEANING = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
"""Files that change what the same weights compute, or what they are asked."""

_MEANING_TOO = ("special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
"""The same, of which studies of earlier versions took no note."""

_SAMPLES = 64
_SAMPLE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file: its name, size in bytes, time of change in nanoseconds, and a SHA-256.

    The digest is that of a weight file's header (names, dtypes, shapes, places), and that of the
    content of any other file, and of the bundled pair's weights, for which the time is 0: copying
    it changes nothing. ``sample`` is the SHA-256 of stretches all over a weight file, which tells
    other numbers under the same time; empty where an earlier version took none.
    """

    name: str
    nbytes: int
    changed: int
    sha256: str
    sample: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointIdentity:
    """What a reference stood for: a commit of the hub, or the files of a directory."""

    reference: str
    repository: str | None
    revision: str | None
    files: tuple[FileIdentity, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for :func:`identity_from`."""
        return asdict(self)

    @property
    def pinned(self) -> str:
        """A reference that stays the same when a branch of the hub moves on."""
        if self.repository is None or self.revision is None:
            return self.reference
        return f"{self.repository}@{self.revision}"


def identity_from(data: Mapping[str, Any]) -> CheckpointIdentity:
    """The inverse of :meth:`CheckpointIdentity.as_dict`.

    Raises:
        ValueError: the data are not of that form.
    """
    try:
        files = tuple(FileIdentity(**file) for file in data["files"])
        named = {key: data[key] for key in ("reference", "repository", "revision")}
        return CheckpointIdentity(**named, files=files)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no identity of a checkpoint: {error}") from error


def identify(reference: str) -> CheckpointIdentity:
    """What a reference stands for at this moment; no weights are downloaded or read.

    Raises:
        CheckpointError: there is no such checkpoint, or it cannot be read.
    """
    return identity_of(inspect(locate(reference, weights=False)))


def identity_of(info: CheckpointInfo) -> CheckpointIdentity:
    """The identity of a checkpoint that was looked at.

    Raises:
        CheckpointError: a file cannot be read.
    """
    place = info.location
    local = place.repository is None
    files = tuple(_files(info, place.reference.startswith(_BUNDLED))) if local else ()
    return CheckpointIdentity(place.reference, place.repository, place.revision, files)


def _files(info: CheckpointInfo, by_content: bool) -> Iterator[FileIdentity]:
    folder = info.location.path
    try:
        for file in info.files:
            yield _of_content(file) if by_content else _of_weights(file)
        for name in (*_MEANING, *_MEANING_TOO):
            if (folder / name).is_file():
                yield _of_content(folder / name)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckpointError(f"cannot read {error.filename}: {reason}") from error


def _of_weights(file: Path) -> FileIdentity:
    facts = file.stat()
    digest = hashlib.sha256(repr(sorted(_places(file))).encode()).hexdigest()
    sample = _sample(file, facts.st_size)
    return FileIdentity(file.name, facts.st_size, facts.st_mtime_ns, digest, sample)


def _of_content(file: Path) -> FileIdentity:
    content = file.read_bytes()
    return FileIdentity(file.name, len(content), 0, hashlib.sha256(content).hexdigest())


def _sample(file: Path, size: int) -> str:
    """The digest of stretches at equal distances, the first and the last among them."""
    digest = hashlib.sha256()
    last = max(0, size - _SAMPLE_BYTES)
    with file.open("rb") as stream:
        for at in range(_SAMPLES):
            stream.seek(last * at // (_SAMPLES - 1))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _places(file: Path) -> Iterator[tuple[str, str, tuple[int, ...], int]]:
    for tensor in read_header(file).values():
        yield tensor.name, tensor.dtype, tensor.shape, tensor.start


def difference(was: CheckpointIdentity, now: CheckpointIdentity) -> str:
    """What has changed, in a few words; empty where nothing has."""
    if was.repository != now.repository or was.revision != now.revision:
        return f"it was {_commit(was)}, and is {_commit(now)}"
    before = {file.name: file for file in was.files}
    after = {file.name: file for file in now.files}
    if before.keys().isdisjoint(_MEANING_TOO):
        after = {name: file for name, file in after.items() if name not in _MEANING_TOO}
    both = before.keys() & after.keys()
    changed = sorted(name for name in both if not _is_same(before[name], after[name]))
    parts = [
        f"{', '.join(names)} {words}"
        for names, words in (
            (sorted(before.keys() - after.keys()), "is gone"),
            (sorted(after.keys() - before.keys()), "is new"),
            (changed, "has changed"),
        )
        if names
    ]
    return "; ".join(parts)


def _is_same(was: FileIdentity, now: FileIdentity) -> bool:
    """Whether a file is what it was.

    Older studies have noted the bundled weights by their time, which every upgrade changes.
    """
    if was.changed and not now.changed:
        return was.nbytes == now.nbytes
    if not (was.sample and now.sample):
        return replace(was, sample="") == replace(now, sample="")
    return was == now


def _commit(identity: CheckpointIdentity) -> str:
    if identity.repository is None:
        return "a directory"
    return f"{identity.repository}@{(identity.revision or 'unknown')[:12]}"
