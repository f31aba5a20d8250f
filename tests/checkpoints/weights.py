"""Read and alter checkpoints in tests, with the safetensors library itself."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def load(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint, by name; each is in one file only."""
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        content = load_file(file)
        assert not content.keys() & tensors.keys()
        tensors.update(content)
    return tensors


def store(folder: Path, tensors: dict[str, torch.Tensor], files: int = 1) -> None:
    """Replace a checkpoint's weights, dealt out over ``files`` files without an index."""
    for old in [*folder.glob("*.safetensors"), *folder.glob("*.index.json")]:
        old.unlink()
    names = list(tensors)
    for number in range(files):
        part = {name: tensors[name].contiguous() for name in names[number::files]}
        name = "model.safetensors" if files == 1 else f"part-{number}.safetensors"
        save_file(part, folder / name, metadata={"format": "pt"})


def change_json(file: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    data = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(data | values))


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equality of dtype, shape and every bit."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
