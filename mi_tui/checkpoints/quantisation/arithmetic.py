"""The arithmetic of quantised weights: bits to numbers, times their scales, in float32.

One rounding to bfloat16 at the end, to nearest, ties to even. A number of four or eight bits is
looked up in a table of all of them.
"""

from functools import cache
from typing import Any

import numpy as np

from mi_tui.checkpoints.headers import BITS, TensorInfo
from mi_tui.checkpoints.kernels.numpy_kernel import Floats, narrow, widen
from mi_tui.checkpoints.kernels.raw_bytes import Bytes, memory
from mi_tui.checkpoints.quantisation.layouts import PackedLayout, ScaleLayout
from mi_tui.checkpoints.quantisation.tensors import DTYPE, QuantisedTensor, Reader

_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
E2M1: Floats = np.concatenate([_E2M1, -_E2M1])
"""The sixteen numbers of four bits."""


def decode_scaled(
    grid: ScaleLayout, reader: Reader, tensor: QuantisedTensor, start: int, count: int, out: Bytes
) -> None:
    """Elements of matrices whose blocks have scales; see ``ScaleLayout``."""
    values = _numbers(grid, reader, tensor.weight, start, count)
    with np.errstate(over="ignore", invalid="ignore"):  # Found in the result, by name.
        if grid.shared:
            values *= scales_of(reader, tensor.scale, 0, 1)
        else:
            _scale(grid, reader, tensor.scale, start, values)
    narrow(values, DTYPE, out, np.empty(count, np.float32))


def decode_experts(
    layout: PackedLayout,
    reader: Reader,
    tensor: QuantisedTensor,
    start: int,
    count: int,
    out: Bytes,
) -> None:
    """Elements of transposed experts in four bits; see ``PackedLayout``."""
    values = np.empty(count, np.float32)
    expert_size = tensor.shape[1] * tensor.shape[2]
    done = 0
    while done < count:
        expert, first = divmod(start + done, expert_size)
        here = min(count - done, expert_size - first)
        values[done : done + here] = _of_expert(layout, reader, tensor, expert, first, here)
        done += here
    narrow(values, DTYPE, out, np.empty(count, np.float32))


def _of_expert(
    layout: PackedLayout,
    reader: Reader,
    tensor: QuantisedTensor,
    expert: int,
    first: int,
    count: int,
) -> Floats:
    rows, size = layout.rows, layout.groups * layout.group_bytes
    low, high = first // (2 * rows), -(-(first + count) // (2 * rows))
    stored = reader.kept(tensor.weight, expert * rows * size, rows * size)
    packed = np.frombuffer(stored, np.uint8).reshape(rows, size)[:, low:high].T
    scales = rows * layout.groups
    exponents = np.frombuffer(reader.kept(tensor.scale, expert * scales, scales), np.uint8).reshape(
        rows, layout.groups
    )
    groups = np.arange(low, high) // layout.group_bytes
    table = exponents[:, groups].T.astype(np.uint16) << 4
    values = np.empty((high - low, 2, rows), np.float32)
    values[:, 0] = microscaled()[table | packed & 15]
    values[:, 1] = microscaled()[table | packed >> 4]
    begin = first - 2 * low * rows
    return values.reshape(-1)[begin : begin + count]


def _numbers(
    grid: ScaleLayout, reader: Reader, weight: TensorInfo, start: int, count: int
) -> Floats:
    """Stored elements as float32, without their scales."""
    if not grid.packed:
        raw = reader.read(weight, start, count, memory(count))
        return float8(weight.dtype)[np.frombuffer(raw, np.uint8)]
    low, high = start // 2, -(-(start + count) // 2)
    raw = reader.read(weight, low, high - low, memory(high - low))
    packed = np.frombuffer(raw, np.uint8)
    values = np.stack([E2M1[packed & 15], E2M1[packed >> 4]], axis=-1).reshape(-1)
    begin = start - 2 * low
    return np.ascontiguousarray(values[begin : begin + count])


def _scale(
    grid: ScaleLayout, reader: Reader, scale: TensorInfo, start: int, values: Floats
) -> None:
    """Multiply elements by their scales: a part of a row, whole rows, a part of a row."""
    columns = grid.columns
    row, column = divmod(start, columns)
    last = -(-(start + len(values)) // columns)
    first_scale, scales = _scales_of_rows(grid, reader, scale, row, last)

    def of_rows(first: int, stop: int) -> Floats:
        index = _scale_row(grid, np.arange(first, stop)) - first_scale
        return np.asarray(scales[index])

    done = 0
    if column:
        done = min(columns - column, len(values))
        values[:done] *= _across(grid, of_rows(row, row + 1))[0, column : column + done]
        row += 1
    whole = (len(values) - done) // columns
    if whole:
        part = values[done : done + whole * columns].reshape(whole, columns)
        factors = of_rows(row, row + whole)
        if columns == grid.block[1] * grid.grid[1]:
            blocks = part.reshape(whole, grid.grid[1], grid.block[1])
            blocks *= factors[:, :, None]
        else:
            part *= _across(grid, factors)
        done += whole * columns
    if done < len(values):
        rest = len(values) - done
        values[done:] *= _across(grid, of_rows(row + whole, row + whole + 1))[0, :rest]


def _scale_row(grid: ScaleLayout, rows: Any) -> Any:
    """The row of scales for rows that are counted through all matrices."""
    return rows // grid.rows * grid.grid[0] + rows % grid.rows // grid.block[0]


def _scales_of_rows(
    grid: ScaleLayout, reader: Reader, scale: TensorInfo, first: int, stop: int
) -> tuple[int, Floats]:
    """The first row of scales that these rows need, and the scales from there on."""
    low, high = int(_scale_row(grid, first)), int(_scale_row(grid, stop - 1)) + 1
    width = grid.grid[1]
    return low, scales_of(reader, scale, low * width, (high - low) * width).reshape(-1, width)


def _across(grid: ScaleLayout, factors: Floats) -> Floats:
    """A factor for each column."""
    return np.repeat(factors, grid.block[1], axis=1)[:, : grid.columns]


def scales_of(reader: Reader, scale: TensorInfo, start: int, count: int) -> Floats:
    """Scales as float32; bytes and E8M0 are exponents of two."""
    raw = reader.read(scale, start, count, memory(count * BITS[scale.dtype] // 8))
    if scale.dtype in ("U8", "F8_E8M0"):
        return powers_of_two(scale.dtype)[np.frombuffer(raw, np.uint8)]
    values = np.empty(count, np.float32)
    widen(raw, scale.dtype, values)
    return values


@cache
def float8(dtype: str) -> Floats:
    """The 256 numbers of F8_E4M3 or F8_E5M2 by their bits (OCP 8-bit floating point, 1.0)."""
    bits = np.arange(256, dtype=np.uint16)
    if dtype == "F8_E5M2":  # The upper half of a float16.
        return (bits << 8).astype(np.uint16).view(np.float16).astype(np.float32)
    exponent, fraction = (bits >> 3 & 15).astype(np.int32), (bits & 7).astype(np.float32)
    normal = np.ldexp(1 + fraction / 8, exponent - 7)
    size = np.where(exponent > 0, normal, np.ldexp(fraction, -9))
    size[(bits & 0x7F) == 0x7F] = np.nan
    return np.where(bits >> 7, -size, size).astype(np.float32)


@cache
def microscaled() -> Floats:
    """The sixteen numbers of four bits at each of 256 scales: scale · 16 + number."""
    with np.errstate(over="ignore"):
        scaled = np.ldexp(E2M1, np.arange(256)[:, None] - 127)
    return scaled.astype(np.float32).reshape(-1)


@cache
def powers_of_two(dtype: str) -> Floats:
    """The 256 scales that a byte means: 2 to the power of it − 127; E8M0's last is NaN."""
    with np.errstate(over="ignore"):
        powers = np.ldexp(np.float32(1), np.arange(256) - 127).astype(np.float32)
    if dtype == "F8_E8M0":
        powers[255] = np.nan
    return powers
