"""Reading quantised tensors: all numbers of each format, in constant memory."""

import json
import math
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from mi_tui.checkpoints.headers import BITS, read_header
from mi_tui.checkpoints.kernels.numpy_kernel import Floats
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, memory
from mi_tui.checkpoints.merging.tensor_worker import Sources
from mi_tui.checkpoints.quantisation.arithmetic import float8, powers_of_two
from mi_tui.checkpoints.quantisation.view import plain_view

MIB = 1 << 20
BYTES = torch.arange(256, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("ours", "dtype"),
    [
        (float8("F8_E4M3"), torch.float8_e4m3fn),
        (float8("F8_E5M2"), torch.float8_e5m2),
        (powers_of_two("F8_E8M0"), torch.float8_e8m0fnu),
    ],
)
def test_the_tables_are_torchs(ours: Floats, dtype: torch.dtype) -> None:
    theirs = BYTES.view(dtype).float().numpy()
    np.testing.assert_array_equal(ours, theirs)
    number = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.signbit(ours)[number], np.signbit(theirs)[number])


Entries = dict[str, tuple[str, tuple[int, ...]]]

LARGE: dict[str, tuple[Entries, float]] = {
    "blocks": (
        {"a.weight": ("F8_E4M3", (8192, 4096)), "a.weight_scale_inv": ("F32", (64, 32))},
        4,
    ),
    "channels": (
        {"a.weight": ("F8_E4M3", (8192, 4096)), "a.weight_scale": ("BF16", (8192, 1))},
        4,
    ),
    # One expert's blocks are 2 MiB.
    "experts": (
        {"e.up_blocks": ("U8", (16, 2048, 64, 16)), "e.up_scales": ("U8", (16, 2048, 64))},
        7,
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_memory_does_not_grow_with_the_tensor(case: str, tmp_path: Path) -> None:
    """A tensor of 32 MiB in a file with holes."""
    entries, most = LARGE[case]
    file = tmp_path / "large.safetensors"
    _write_zeros(file, entries)
    tensor = next(iter(plain_view({}, read_header(file)).tensors.values()))
    buffer = memory(2 * CHUNK)
    with closing(Sources()) as sources:
        sources.open(file)
        sources.read(tensor, 0, 1, buffer)
        tracemalloc.start()
        for start in range(0, tensor.count, CHUNK):
            sources.read(tensor, start, min(CHUNK, tensor.count - start), buffer)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert tensor.nbytes >= 64 * MIB
    assert peak < most * MIB


def _write_zeros(file: Path, entries: Entries) -> None:
    header, position = {}, 0
    for name, (dtype, shape) in entries.items():
        end = position + math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + position)
