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


def quantise(
    folder: Path,
    block: tuple[int, int] | None = None,
    scales: torch.dtype = torch.float32,
    name: str = "weight_scale_inv",
) -> None:
    """Quantise a checkpoint's linear layers to fp8, with a scale for each block or tensor."""
    tensors = load(folder)
    for key in [key for key in tensors if key.endswith("_proj.weight")]:
        weight = tensors[key].float()
        rows, columns = block or weight.shape
        grid = tuple(-(-n // b) for n, b in zip(weight.shape, (rows, columns), strict=True))
        padded = torch.zeros(grid[0] * rows, grid[1] * columns)
        padded[: weight.shape[0], : weight.shape[1]] = weight
        largest = padded.abs().reshape(grid[0], rows, grid[1], columns).amax((1, 3))
        scale = (largest / 448).clamp(min=1e-8).to(scales)
        factors = scale.float().repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        tensors[key] = (weight / factors[: weight.shape[0], : weight.shape[1]]).to(
            torch.float8_e4m3fn
        )
        base = key.removesuffix("weight")
        tensors[base + name] = scale if block else scale.reshape(())
        if block is None:
            tensors[base + "activation_scale"] = torch.ones(())
    store(folder, tensors)
    size = list(block) if block else None
    settings = {"quant_method": "fp8", "weight_block_size": size, "activation_scheme": "static"}
    change_json(folder / "config.json", quantization_config=settings)


def change_json(file: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    data = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(data | values))


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equality of dtype, shape and every bit."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
