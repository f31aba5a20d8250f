"""Code of others that a preset would run, and the user's consent to it.

A preset can only ask for such code. Whether it runs is the user's word alone, given for one state
of the code (a commit of the hub, or a digest of the files) and kept in their own folder: one small
file for each consent, which nobody else may write.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mi_tui.errors import MiTuiError
from mi_tui.paths import config_folder
from mi_tui.whole_files import write_whole

FLAG = "--trust-remote-code"
_FILES = 2_000
_NAMES = 50_000
_BYTES = 1 << 26
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class RemoteCode:
    """Python code that comes with a checkpoint or a task.

    Attributes:
        of: the hub's repository, or the path of a directory or file.
        revision: the hub's commit, or ``sha256:…`` of the files: other code has another one.
        files: the names of the files, for the user to read.
    """

    of: str
    revision: str
    files: tuple[str, ...]

    @property
    def words(self) -> str:
        """What would run, in a few words."""
        shown = ", ".join(self.files[:_SHOWN]) or "no file of its own"
        more = len(self.files) - _SHOWN
        listed = f"{shown} and {more} more" if more > 0 else shown
        return f"code of {self.of} at revision {self.short_revision} ({listed})"

    @property
    def short_revision(self) -> str:
        """The revision's first characters, as commits are usually shown."""
        kind, _, digest = self.revision.rpartition(":")
        return f"{kind}:{digest[:12]}" if kind else digest[:12]

    @property
    def _key(self) -> str:
        return hashlib.sha256(json.dumps([self.of, self.revision]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Consent:
    """What the user has allowed, and when (Unix seconds)."""

    code: RemoteCode
    when: float


class RemoteCodeError(MiTuiError):
    """Code of others that would run and that the user has not allowed.

    Attributes:
        codes: what would run.
    """

    def __init__(self, codes: Sequence[RemoteCode]) -> None:
        self.codes = tuple(codes)
        more = f" (and {len(self.codes) - 1} more)" if len(self.codes) > 1 else ""
        super().__init__(
            f"{self.codes[0].words} would run with your rights{more}: read it, then allow it with "
            f"{FLAG}"
        )


def is_allowed(code: RemoteCode) -> bool:
    """Whether the user has allowed this very code.

    Raises:
        MiTuiError: the user's home is not known.
    """
    found = _read(_folder() / f"{code._key}.json")
    return found is not None and (found.code.of, found.code.revision) == (code.of, code.revision)


def require_allowed(codes: Iterable[RemoteCode | None]) -> None:
    """Refuse to go on with code that the user has not allowed.

    Raises:
        RemoteCodeError: some is not; it names the first and counts the others.
    """
    missing = [code for code in dict.fromkeys(codes) if code is not None and not is_allowed(code)]
    if missing:
        raise RemoteCodeError(missing)


def allow(codes: Iterable[RemoteCode | None]) -> None:
    """Keep the user's consent to code; call it only where they have given it.

    Raises:
        MiTuiError: it cannot be kept.
    """
    for code in codes:
        if code is not None and not is_allowed(code):
            _keep(code)


def consents() -> tuple[Consent, ...]:
    """Everything that is allowed, in the order of names.

    Raises:
        MiTuiError: the user's home is not known.
    """
    found = [_read(file) for file in sorted(_folder().glob("*.json"))]
    return tuple(
        sorted((one for one in found if one), key=lambda one: (one.code.of, one.code.revision))
    )


def revoke(of: str) -> int:
    """Take back every consent to code of a checkpoint or task; returns how many there were.

    Raises:
        MiTuiError: a consent cannot be removed.
    """
    found = [consent for consent in consents() if consent.code.of == of]
    for consent in found:
        file = _folder() / f"{consent.code._key}.json"
        try:
            file.unlink()
        except OSError as error:
            raise _unwritable(file, error) from error
    return len(found)


def digest_of(files: Iterable[Path], root: Path) -> str:
    """``sha256:…`` over the files' names and contents.

    Raises:
        MiTuiError: a file cannot be read, or they are too many to be read by anybody.
    """
    digest = hashlib.sha256()
    total = 0
    for file in files:
        try:
            total += file.stat().st_size
            if total > _BYTES:
                raise MiTuiError(f"{root} has more than {_BYTES >> 20} MiB of code: it is not run")
            content = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise MiTuiError(f"cannot read {file}: {(error.strerror or '').lower()}") from error
        digest.update(f"{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def files_below(folder: Path, suffixes: Sequence[str]) -> tuple[Path, ...]:
    """The files with these suffixes in a folder and below, in the order of names.

    Raises:
        MiTuiError: they are too many to be read by anybody.
    """
    found: list[Path] = []
    seen = 0
    for parent, folders, names in os.walk(folder):
        seen += len(names)
        folders[:] = sorted(name for name in folders if name != ".git")
        found += [Path(parent, name) for name in names if name.endswith(tuple(suffixes))]
        if len(found) > _FILES or seen > _NAMES:
            raise MiTuiError(
                f"{folder} has too many files to know its code by: give it a folder of its own"
            )
    return tuple(sorted(found))


def _folder() -> Path:
    return config_folder() / "trusted_code"


def _keep(code: RemoteCode) -> None:
    file = _folder() / f"{code._key}.json"
    data = {"of": code.of, "revision": code.revision, "files": code.files, "when": time.time()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        write_whole(file, json.dumps(data), private=True)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> MiTuiError:
    reason = (error.strerror or str(error)).lower()
    return MiTuiError(f"cannot keep or remove the consent {file}: {reason}")


def _read(file: Path) -> Consent | None:
    """A consent; none where the file is not whole, or somebody else could have written it."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        with file.open("rb") as opened:
            facts = os.fstat(opened.fileno())
            if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o022:
                return None
            data = json.load(opened)
        code = RemoteCode(str(data["of"]), str(data["revision"]), tuple(map(str, data["files"])))
        return Consent(code, float(data["when"]))
    return None
