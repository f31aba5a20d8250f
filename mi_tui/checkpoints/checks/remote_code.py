"""The Python code that a checkpoint brings, which transformers and vLLM would run to load it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.json_files import read_json
from mi_tui.checkpoints.locate import Location
from mi_tui.plan.remote_code import (
    RemoteCode,
    digest_of,
    files_below,
    is_allowed,
    require_allowed,
)

_NAMING = (
    "config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json",
    "preprocessor_config.json", "video_preprocessor_config.json",
)  # fmt: skip
"""The files in which ``auto_map`` names classes of the checkpoint's own."""

_GENERATE = Path("custom_generate", "generate.py")


def remote_code(location: Location) -> RemoteCode | None:
    """The code of a checkpoint that would run where it is trusted; ``None`` where there is none.

    Raises:
        CheckpointError: a file cannot be read, or the code lies in another repository, where it
            can change unseen.
        MiTuiError: there is more code than anybody would read.
    """
    folder = location.path
    named = [text for name in _NAMING for text in _class_names(read_json(folder / name))]
    if not named and not (folder / _GENERATE).is_file():
        return None
    if elsewhere := next((text.partition("--")[0] for text in named if "--" in text), None):
        raise CheckpointError(
            f"{location} names code in the repository {elsewhere}, which can change unseen: copy "
            "its .py files beside the checkpoint, and take the name before -- out of auto_map"
        )
    files = files_below(folder, (".py",))
    names = tuple(file.relative_to(folder).as_posix() for file in files)
    if location.repository is not None and location.revision is not None:
        return RemoteCode(location.repository, location.revision, names)
    return RemoteCode(str(folder.resolve()), digest_of(files, folder), names)


def is_trusted(location: Location, wanted: bool) -> bool:
    """Whether code of a checkpoint is to run: it is wanted, there is some, and it is allowed.

    Raises:
        CheckpointError, MiTuiError: as :func:`remote_code`.
    """
    code = remote_code(location) if wanted else None
    return code is not None and is_allowed(code)


def require_trust(location: Location, wanted: bool) -> bool:
    """As :func:`is_trusted`, but code that is wanted and not allowed is refused.

    Raises:
        RemoteCodeError: the user has not allowed it.
        CheckpointError, MiTuiError: as :func:`remote_code`.
    """
    code = remote_code(location) if wanted else None
    require_allowed([code])
    return code is not None


def _class_names(data: Any) -> Iterator[str]:
    """Every class that an ``auto_map`` names, at any depth."""
    waiting = [data]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if part.get("auto_map"):
                yield from _texts(part["auto_map"])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in _texts(part)]
