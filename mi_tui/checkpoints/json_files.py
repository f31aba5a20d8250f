"""Readers of a checkpoint's JSON files."""

import json
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError

MAX_JSON_BYTES = 1 << 28
"""Many times the size of the largest tokenizers."""


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or ``None`` when there is no such file.

    Raises:
        CheckpointError: the file cannot be read or holds no JSON object.
    """
    try:
        if file.exists() and not file.is_file():
            raise CheckpointError(f"{file} is no file: take it away or download it again")
        if file.exists() and file.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(f"{file} is far too large: download it again")
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {(error.strerror or '').lower()}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is no valid JSON: download it again") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{file} holds no JSON object: download it again")
    return data
