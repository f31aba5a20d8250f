"""fp8: weights of eight bits with a scale for each tensor, channel or block.

Sources: transformers, ``integrations/finegrained_fp8.py`` (``Fp8Dequantize``, and the names that
``FineGrainedFP8HfQuantizer`` reads) and ``integrations/compressed_tensors.py``; DeepSeek-V3's
``inference/fp8_cast_bf16.py`` for blocks that the matrix ends within.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.kernels.raw_bytes import Bytes
from mi_tui.checkpoints.quantisation.layouts import ScaleLayout
from mi_tui.checkpoints.quantisation.tensors import (
    FORMATS,
    Found,
    QuantisedTensor,
    Reader,
    quantised_tensor,
)

_WEIGHTS = ("F8_E4M3", "F8_E5M2")
_SCALES = ("F32", "BF16", "F16", "F64", "U8", "F8_E8M0")
_OF_ACTIVATIONS = (
    "input_scale",
    "activation_scale",
    "output_scale",
    "input_scale_ub",
    "qscale_act",
)
_OF_CACHE = (".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".prob_scale")


class ScaleGrid(ScaleLayout):
    """A layout of scales that reads the numbers behind it."""

    __slots__ = ()

    def decode(
        self, reader: Reader, tensor: QuantisedTensor, start: int, count: int, out: Bytes
    ) -> None:
        """As :meth:`mi_tui.checkpoints.quantisation.tensors.Decoder.decode`."""
        from mi_tui.checkpoints.quantisation.arithmetic import decode_scaled  # It needs NumPy.

        decode_scaled(self, reader, tensor, start, count, out)

    @property
    def words(self) -> str:
        """The scales in words: ``block scales 128 × 128``."""
        if self.grid == (1, 1):
            return "tensor scales"
        if self.block == (1, self.columns):
            return "channel scales"
        return f"block scales {self.block[0]} × {self.block[1]}"


def scale_grid(
    weight: tuple[int, ...],
    scale: tuple[int, ...],
    declared: tuple[int, int] | None = None,
    *,
    packed: bool = False,
) -> ScaleGrid | None:
    """The grid of a weight's and a scale's shapes; ``None`` where they do not belong together.

    The declared block is taken where the scales have its number of rows and columns, rounded up;
    else the matrix is divided evenly, as transformers does.
    """
    if not weight:
        return None
    *lead, rows, columns = weight if len(weight) > 1 else (1, *weight)
    columns *= 2 if packed else 1
    if math.prod(scale) == 1:
        return ScaleGrid(rows, columns, (rows, columns), (1, 1), shared=True, packed=packed)
    for shape in (scale, (*scale, 1), (*scale, 1, 1)):
        if len(shape) == len(lead) + 2 and list(shape[:-2]) == lead:
            grid = (shape[-2], shape[-1])
            block = _block((rows, columns), grid, declared)
            return block and ScaleGrid(rows, columns, block, grid, packed=packed)
    return None


def _block(
    matrix: tuple[int, int], grid: tuple[int, int], declared: tuple[int, int] | None
) -> tuple[int, int] | None:
    sizes = tuple(zip(matrix, grid, strict=True))
    if 0 in matrix or 0 in grid:
        return None
    if declared and all(-(-n // b) == g for (n, g), b in zip(sizes, declared, strict=True)):
        return declared
    if any(n % g for n, g in sizes):
        return None
    return matrix[0] // grid[0], matrix[1] // grid[1]


class Fp8:
    """Weights in float8 (E4M3 or E5M2), and those that DeepSeek packs into four bits (E2M1)."""

    name = "fp8"
    order = 10

    def find(self, stored: Mapping[str, TensorInfo], settings: Mapping[str, Any]) -> Found:
        """As :meth:`mi_tui.checkpoints.quantisation.tensors.QuantisationFormat.find`."""
        declared = _declared_block(settings)
        packs = settings.get("quant_method") == "fp8"
        tensors, dropped, problems = {}, set[str](), []
        said: Counter[str] = Counter()
        for name, weight in stored.items():
            packed = packs and weight.dtype == "I8"
            scale = _scale_of(name, stored) if weight.dtype in _WEIGHTS or packed else None
            if scale is None:
                continue
            grid = scale_grid(weight.shape, scale.shape, declared, packed=packed)
            if grid is None or scale.dtype not in _SCALES:
                problems.append(
                    f"{scale.name} ({scale.dtype}, {list(scale.shape)}) is no scale of {name} "
                    f"{list(weight.shape)}: take the bf16 checkpoint"
                )
                continue
            if (zeros := _base(name) + "weight_zero_point") in stored:
                problems.append(f"{zeros} is not read: take the bf16 checkpoint")
            shape = (*weight.shape[:-1], grid.columns)
            tensors[name] = quantised_tensor(name, shape, weight, scale, grid)
            dropped |= {scale.name, *(_base(name) + word for word in _OF_ACTIVATIONS)}
            said[f"{'fp4' if packed else 'fp8'} ({grid.words})"] += weight.count
        if tensors:
            dropped |= {name for name in stored if name.endswith(_OF_CACHE)}
        words = " and ".join(text for text, _ in said.most_common())
        return Found(tensors, frozenset(dropped & stored.keys()), words, tuple(problems))


def _base(name: str) -> str:
    """What stands before ``input_scale`` for a weight: ``…q_proj.`` or ``…experts.down_proj_``."""
    return name.removesuffix("weight") if name.endswith(".weight") else f"{name}_"


def _scale_names(name: str) -> Iterator[str]:
    yield f"{name}_scale_inv"
    yield f"{name}_scale"
    if name.endswith(".weight"):
        yield _base(name) + "scale"
        yield _base(name) + "qscale_weight"


def _scale_of(name: str, stored: Mapping[str, TensorInfo]) -> TensorInfo | None:
    return next((stored[scale] for scale in _scale_names(name) if scale in stored), None)


def _declared_block(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """``weight_block_size``, or the block structure of compressed-tensors' weights."""
    groups = settings.get("config_groups")
    tables = [settings, *(groups.values() if isinstance(groups, dict) else ())]
    for table in tables:
        if not isinstance(table, dict | Mapping):
            continue
        weights = table.get("weights")
        found = table.get("weight_block_size") or (
            weights.get("block_structure") if isinstance(weights, dict) else None
        )
        if isinstance(found, list) and len(found) == 2:
            rows, columns = found
            if type(rows) is int and type(columns) is int and min(found) > 0:
                return rows, columns
    return None


FORMATS.register(Fp8())
