"""The released way of merging, written from its description, as the yardstick.

One model is loaded whole; the other's shards are read one after another with the safetensors
library, mixed in bf16 with torch, and saved under the same names. Index, config and tokenizer
are copied. ``--lean`` loads the whole model with the safetensors library too, without
transformers.

    python benchmarks/merge_reference.py INSTRUCT THINKING OUT LAMBDA [--lean]
"""

import shutil
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def merge(instruct: Path, thinking: Path, out: Path, lambda_: float, lean: bool) -> None:
    """Write λ · thinking + (1 − λ) · instruct to ``out``."""
    whole = _load_lean(thinking) if lean else _load(thinking)
    out.mkdir()
    for file in sorted(instruct.glob("*.safetensors")):
        mixed = {}
        with safe_open(file, "pt") as shard:
            for name in shard.keys():  # noqa: SIM118  # not a dictionary
                mixed[name] = lambda_ * whole[name] + (1 - lambda_) * shard.get_tensor(name)
        save_file(mixed, out / file.name)
    for file in thinking.iterdir():
        if file.suffix == ".json":
            shutil.copy(file, out / file.name)


def _load(folder: Path) -> dict[str, torch.Tensor]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return dict(model.state_dict())


def _load_lean(folder: Path) -> dict[str, torch.Tensor]:
    whole: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        whole.update(load_file(file))
    return whole


if __name__ == "__main__":
    instruct, thinking, out, lambda_, *flags = sys.argv[1:]
    merge(Path(instruct), Path(thinking), Path(out), float(lambda_), "--lean" in flags)
