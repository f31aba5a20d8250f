"""The files that make weights a checkpoint: config, tokenizer, chat template and the like."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.locate import COMPANION_PATTERNS, TEMPLATES
from mi_tui.text.sizes import in_bytes

MANIFEST = "mi_tui_manifest.json"
CARD = "README.md"

_TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_OF_TRAINING = ("trainer_state.json", "training_args.json", "all_results.json", "optimizer.json")


_LARGEST = 1 << 30
"""Bytes of a companion: many times those of the largest tokenizers."""


def companion_files(folder: Path) -> tuple[Path, ...]:
    """The donor's files that a merged checkpoint takes over, config.json first.

    Left out are indexes of weights, the model card, and what a trainer left behind.

    Raises:
        CheckpointError: one is a link that leads out of the checkpoint and of the hub's cache, or
            is far too large.
    """
    found = {file for pattern in COMPANION_PATTERNS for file in folder.glob(pattern)}
    kept = [file for file in found if not _is_left_out(file.name) and _content(file)]
    return tuple(sorted(kept, key=lambda file: (file.name != "config.json", file)))


def companion_name(file: Path) -> str:
    """A companion's name in its checkpoint, with the folder it stands in, if any."""
    within = file.parent.name == TEMPLATES
    return f"{TEMPLATES}/{file.name}" if within else file.name


def _content(file: Path) -> Path | None:
    """Where a companion's content lies; ``None`` where it is no file.

    A checkpoint may come from anyone, and what a link in it points to would be published with the
    merged one.
    """
    if not file.is_file():
        return None
    content, folder = file.resolve(), file.parent
    if folder.name == TEMPLATES:
        folder = folder.parent
    if not any(root in content.parents for root in (folder.resolve(), *_hub_blobs(folder))):
        raise CheckpointError(
            f"{file} is a link to {content}, outside of its checkpoint: copy the file there, or "
            "take the link away"
        )
    if (size := content.stat().st_size) > _LARGEST:
        raise CheckpointError(f"{file} has {in_bytes(size)}, far too much: download it again")
    return content


def _hub_blobs(folder: Path) -> tuple[Path, ...]:
    """Where the hub's cache keeps contents: that of this snapshot, and the user's."""
    from huggingface_hub.constants import HF_HUB_CACHE

    resolved = folder.resolve()
    own = resolved.parent.parent / "blobs" if resolved.parent.name == "snapshots" else None
    return tuple(root.resolve() for root in (own, Path(HF_HUB_CACHE)) if root is not None)


def _is_left_out(name: str) -> bool:
    return name.endswith(".index.json") or name in (MANIFEST, *_OF_TRAINING)


def copy_companions(
    files: Sequence[Path], folder: Path, config: Mapping[str, Any], dtypes: Mapping[str, int]
) -> None:
    """Copy the companion files into ``folder``; config.json gets the result's dtype."""
    for file in files:
        if file.name == "config.json":
            text = json.dumps(_with_dtype(config, dtypes), indent=2, ensure_ascii=False) + "\n"
            (folder / file.name).write_text(text, encoding="utf-8")
        else:
            # Contents only: the hub cache has links and read-only files.
            _copy(file, folder / companion_name(file))


def _copy(file: Path, to: Path) -> None:
    content = _content(file)
    if content is None:
        raise CheckpointError(f"{file} is gone: merge again")
    to.parent.mkdir(exist_ok=True)
    opened = os.open(content, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(opened, "rb") as source, to.open("xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)


def _with_dtype(config: Mapping[str, Any], dtypes: Mapping[str, int]) -> dict[str, Any]:
    floats = {dtype: count for dtype, count in dtypes.items() if dtype in _TORCH_NAMES}
    if not floats:
        return dict(config)
    named = _TORCH_NAMES[max(floats, key=lambda dtype: floats[dtype])]

    def renamed(table: Mapping[str, Any]) -> dict[str, Any]:
        keys = [key for key in ("torch_dtype", "dtype") if key in table]
        return {**table, **dict.fromkeys(keys, named)}

    changed = renamed(config)
    if not {"dtype", "torch_dtype"} & changed.keys():
        changed["dtype"] = named
    for key, value in changed.items():
        if key.endswith("_config") and isinstance(value, dict):
            changed[key] = renamed(value)
    return changed
