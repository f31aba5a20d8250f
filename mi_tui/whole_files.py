"""Files that appear whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str, *, executable: bool = False, private: bool = False) -> None:
    """Write a text file, UTF-8; a reader sees the old one or the new one, also after a crash.

    The part written beside it is made anew, so that no link planted there is followed, and
    removed when the writing fails.

    Args:
        path: of the file; a file that is there is replaced.
        text: its content.
        executable: whether it may be run.
        private: whether only the user may read it.

    Raises:
        OSError: it cannot be written.
        UnicodeEncodeError: the text holds half a character.
    """
    content = text.encode("utf-8")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, how, 0o600 if private else 0o777 if executable else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
