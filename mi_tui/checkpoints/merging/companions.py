"""The files that make weights a checkpoint: config, tokenizer, chat template and the like."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.locate import COMPANION_PATTERNS

MANIFEST = "mi_tui_manifest.json"
CARD = "README.md"

_TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_OF_TRAINING = ("trainer_state.json", "training_args.json", "all_results.json", "optimizer.json")


def companion_files(folder: Path) -> tuple[Path, ...]:
    """The donor's files that a merged checkpoint takes over, config.json first.

    Left out are indexes of weights, the model card, and what a trainer left behind.
    """
    found = {file for pattern in COMPANION_PATTERNS for file in folder.glob(pattern)}
    kept = [file for file in found if file.is_file() and not _is_left_out(file.name)]
    return tuple(sorted(kept, key=lambda file: (file.name != "config.json", file.name)))


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
            shutil.copyfile(file, folder / file.name)


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
