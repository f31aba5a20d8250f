"""A random pair of checkpoints of a family, small but with every kind of tensor in its place."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from mi_tui.paths import demo_pair_folder

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_CHANGE = 0.3
"""How far the sides differ, relative to the mean of a tensor's absolute values."""

_VARIED = 10
"""Distinct tokens of a greedy response from which on comparing it says something."""


def auto_class(config: Any) -> Any:
    """The class with which people load such a checkpoint."""
    causal: Any = AutoModelForCausalLM
    wrappers: Any = AutoModelForImageTextToText
    is_wrapper = hasattr(config, "text_config")
    if type(config) in wrappers._model_mapping and (
        is_wrapper or type(config) not in causal._model_mapping
    ):
        return wrappers
    return causal


def build_pair(config: Any, folder: Path, dtype: torch.dtype = torch.bfloat16) -> tuple[Path, Path]:
    """Write both sides; Thinking's in several shards."""
    torch.manual_seed(1)
    model = auto_class(config).from_config(config).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in _stored(model):
            if tensor.is_floating_point() and (
                name.endswith("bias") or float(tensor.float().std(correction=0)) == 0
            ):
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
        _vary(model)
    sides = folder / "instruct", folder / "thinking"
    write_side(model, sides[0], dtype, shards=1)
    with torch.no_grad():
        for _, tensor in _stored(model):
            if tensor.is_floating_point():
                size = float(tensor.abs().mean().clamp(min=0.02))
                tensor.add_(_CHANGE * size * torch.randn(tensor.shape, generator=generator))
    write_side(model, sides[1], dtype, shards=4)
    return sides


def write_side(model: Any, folder: Path, dtype: torch.dtype, shards: int) -> None:
    """Write a model as a checkpoint with the demo pair's tokenizer."""
    folder.mkdir(parents=True)
    written = copy.deepcopy(model).to(dtype)
    size = sum(parameter.nbytes for parameter in written.parameters())
    written.save_pretrained(folder, max_shard_size=max(size // shards, 40_000) + 1)
    for name in _TOKENIZER:
        shutil.copy(demo_pair_folder() / "thinking" / name, folder / name)
    settings = {"eos_token_id": 2, "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(settings))


def _stored(model: Any) -> Iterator[tuple[str, Tensor]]:
    stored = model.state_dict()
    yield from model.named_parameters()
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in stored)


def _vary(model: Any) -> None:
    """Halve the embedding until greedy text does not repeat one token."""
    prompt = torch.tensor([[5, 60, 17, 33, 92, 11, 48]])
    for _ in range(8):
        made = model.generate(prompt, max_new_tokens=24, do_sample=False, eos_token_id=None)
        if len(set(made[0, prompt.shape[1] :].tolist())) >= _VARIED:
            return
        model.get_input_embeddings().weight.mul_(0.5)
