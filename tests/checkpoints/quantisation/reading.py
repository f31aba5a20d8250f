"""Write tensors to a file and read them back as a checkpoint's plain view gives them."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from mi_tui.checkpoints.headers import read_header
from mi_tui.checkpoints.kernels.raw_bytes import memory
from mi_tui.checkpoints.merging.tensor_worker import Sources
from mi_tui.checkpoints.quantisation.tensors import DTYPE
from mi_tui.checkpoints.quantisation.view import PlainView, plain_view


def view_of(
    folder: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any] | None = None
) -> PlainView:
    """The plain view of tensors, written into a file of this folder."""
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / "one.safetensors")
    return plain_view(config or {}, read_header(folder / "one.safetensors"))


def fp8_config(**settings: Any) -> dict[str, Any]:
    """A config of fp8 weights."""
    return {"quantization_config": {"quant_method": "fp8", **settings}}


def read(view: PlainView, name: str, step: int | None = None) -> torch.Tensor:
    """A tensor of the view, read in stretches of ``step`` elements."""
    info = view.tensors[name]
    assert info.dtype == DTYPE, info
    raw = memory(info.nbytes)
    step = step or max(info.count, 1)
    with closing(Sources()) as sources:
        for stored in info.stored:
            sources.open(stored.file)
        for start in range(0, info.count, step):
            count = min(step, info.count - start)
            sources.read(info, start, count, raw[2 * start : 2 * (start + count)])
    if not info.count:
        return torch.empty(info.shape, dtype=torch.bfloat16)
    return torch.frombuffer(raw, dtype=torch.bfloat16).reshape(info.shape)


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Equality of shape and every bit; NaN is NaN."""
    if ours.shape != theirs.shape or theirs.dtype != torch.bfloat16:
        return False
    nan = torch.isnan(theirs)
    equal = ours.contiguous().view(torch.int16) == theirs.contiguous().view(torch.int16)
    return bool((torch.isnan(ours) == nan).all() and (equal | nan).all())
