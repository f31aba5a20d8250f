"""The compiled kernel and NumPy's give the same bytes, and either is used where it can be."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hatch_build
from mi_tui.checkpoints.kernels import compiled_kernel
from mi_tui.checkpoints.kernels.compiled_kernel import DTYPES, CompiledKernel, load_library
from mi_tui.checkpoints.kernels.numpy_kernel import NumpyKernel
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, WIDTH, Bytes, Raw, memory
from mi_tui.checkpoints.merging import tensor_worker
from mi_tui.checkpoints.merging.plan import plan_weighted_sum
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.checkpoints.merging.write import carry_out, merge
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load, same_bits, store

BLOCK = 1024
"""What the compiled kernel handles at once."""

WEIGHTS = st.floats(-3, 3, width=32) | st.floats(width=32, allow_nan=False, allow_infinity=False)
SPECIAL = {
    "BF16": (0, 0x8000, 1, 0x807F, 0x7F7F, 0x7F80, 0xFF80, 0x7F81, 0x7FC1, 0xFFC0),
    "F16": (0, 0x8000, 1, 0x83FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7C01, 0x7E01, 0xFE00),
    "F32": (0, 1 << 31, 1, 0x33000000, 0x477FF000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0xFFC00001),
    "F64": (0, 1 << 63, 1, 0x36A << 52, 0x47EFFFFFF << 28, 0x7FF << 52, 0x7FF8000000000001),
}
"""Zeros, subnormals, the largest, infinities, and NaN with and without a payload."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernel compiled from the source that lies here."""
    file = tmp_path_factory.mktemp("kernel") / "kernel.so"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MI_TUI_PURE", raising=False)
        problem = hatch_build.compile_kernel(compiled_kernel.SOURCE, file)
    if problem == "there is no C compiler":
        pytest.skip(problem)
    assert not problem
    found = load_library(file)
    assert found is not None
    return found


@dataclass(frozen=True)
class Mixture:
    """What a kernel is asked for."""

    anchor: Raw
    terms: tuple[tuple[float, Raw], ...]
    dtype: str
    count: int


@st.composite
def raws(draw: st.DrawFn, dtype: str, count: int) -> Raw:
    """A few drawn bit patterns, repeated; they begin at any element of the memory."""
    bits = st.integers(0, 2 ** (8 * WIDTH[dtype]) - 1) | st.sampled_from(SPECIAL[dtype])
    few = draw(st.lists(bits, min_size=1, max_size=30))
    start = draw(st.integers(0, 3))
    values = np.resize(np.array(few, f"u{WIDTH[dtype]}"), count + start)
    return Raw(dtype, values[start:].view(np.uint8).data)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    count = draw(st.integers(0, 40) | st.integers(BLOCK - 2, BLOCK + 2) | st.just(2 * BLOCK + 7))
    dtypes = st.sampled_from(sorted(DTYPES))
    raw = dtypes.flatmap(lambda dtype: raws(dtype, count))
    terms = draw(st.lists(st.tuples(WEIGHTS, raw), max_size=4))
    return Mixture(draw(raw), tuple(terms), draw(dtypes), count)


def both(library: ctypes.CDLL, asked: Mixture) -> tuple[Bytes, bool, Bytes, bool]:
    """What the compiled kernel and NumPy's write and say."""
    ours, numpys = (memory(asked.count * WIDTH[asked.dtype]) for _ in range(2))
    with np.errstate(all="ignore"):
        said = CompiledKernel(library).mix(asked.anchor, asked.terms, asked.dtype, ours)
        numpy_said = NumpyKernel().mix(asked.anchor, asked.terms, asked.dtype, numpys)
    return ours, said, numpys, numpy_said


@settings(deadline=None)
@given(asked=mixtures())
def test_any_bits_any_dtypes_any_number_of_sources(library: ctypes.CDLL, asked: Mixture) -> None:
    ours, said, numpys, numpy_said = both(library, asked)
    assert ours == numpys
    assert said == numpy_said


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("weight", [0.0, 1.0, 0.55, -1.7])
def test_every_16_bit_number_against_others(
    library: ctypes.CDLL, dtype: str, target: str, weight: float
) -> None:
    every = np.arange(2**16, dtype=np.uint16)
    for step in (0, 1, 0x8000, 12_345):
        raws = (Raw(dtype, part.view(np.uint8).data) for part in (every, np.roll(every, step)))
        anchor, source = raws
        asked = Mixture(anchor, ((weight, source),), target, len(every))
        ours, said, numpys, numpy_said = both(library, asked)
        assert ours == numpys
        assert said
        assert numpy_said


@settings(deadline=None)
@given(raw=raws("F32", 2 * BLOCK + 7), target=st.sampled_from(["BF16", "F16"]))
def test_any_float_is_rounded_as_torch_rounds_it(
    library: ctypes.CDLL, raw: Raw, target: str
) -> None:
    out = memory(len(raw.data) // 2)
    CompiledKernel(library).mix(raw, (), target, out)
    dtype = {"BF16": torch.bfloat16, "F16": torch.float16}[target]
    expected = torch.frombuffer(raw.data, dtype=torch.float32).to(dtype)
    _same_but_for_the_bits_of_nan(out, expected)


@settings(deadline=None)
@given(anchor=raws("BF16", BLOCK + 7), source=raws("BF16", BLOCK + 7), weight=WEIGHTS)
def test_any_bfloat16_is_mixed_as_in_memory(
    library: ctypes.CDLL, anchor: Raw, source: Raw, weight: float
) -> None:
    if weight in (0.0, 1.0):
        return  # Those are copies, in memory and on disk.
    out = memory(len(anchor.data))
    CompiledKernel(library).mix(anchor, ((weight, source),), "BF16", out)
    one, two = (torch.frombuffer(raw.data, dtype=torch.bfloat16) for raw in (anchor, source))
    _same_but_for_the_bits_of_nan(out, mix(one, two, weight))


def _same_but_for_the_bits_of_nan(ours: Bytes, expected: torch.Tensor) -> None:
    found = torch.frombuffer(ours, dtype=expected.dtype)
    assert torch.equal(found.isnan(), expected.isnan())
    kept = ~expected.isnan()
    assert same_bits(found[kept], expected[kept])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), None])
def test_one_bad_number_among_many_is_found(
    library: ctypes.CDLL, dtype: str, bad: float | None
) -> None:
    values = np.full(3 * BLOCK, np.finfo(np.float16).max, np.float32)
    values[::2] *= -1
    if bad is not None:
        values[BLOCK + 37] = bad
    asked = Mixture(Raw("F32", values.view(np.uint8).data), (), dtype, len(values))
    _, said, _, numpy_said = both(library, asked)
    assert said == numpy_said == (bad is not None)
    if bad is None or dtype == "F32":
        found = CompiledKernel(library).has_nonfinite(asked.anchor)
        assert found == NumpyKernel().has_nonfinite(asked.anchor) == (bad is not None)


SUM, ARITHMETIC, TIES = "weighted sum", "task arithmetic", "TIES"
METHODS = {
    "interpolation": interpolation(0.55),
    ARITHMETIC: Recipe(method="task-arithmetic", scale=0.7),
    TIES: Recipe(method="ties", scale=0.7, density=0.3),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """A small pair and its base, with one tensor of several chunks, of three dtypes."""
    found = tiny_pair("qwen3", tmp_path_factory.mktemp("pair"), dtype=torch.bfloat16, base=True)
    generator = torch.Generator().manual_seed(1)
    for path, dtype in zip(found, (torch.bfloat16, torch.float16, torch.float32), strict=True):
        more = torch.randn(2 * CHUNK + 3, generator=generator).to(dtype)
        store(path, load(path) | {"model.more": more})
    return found


@pytest.mark.parametrize("method", [*METHODS, SUM])
@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16", "float32"])
def test_whole_merges_are_the_same(
    library: ctypes.CDLL,
    method: str,
    dtype: MergeDtype,
    paths: Sequence[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shards = []
    for name, make in (("compiled", lambda: CompiledKernel(library)), ("NumPy", NumpyKernel)):
        monkeypatch.setattr(tensor_worker, "make_kernel", make)
        out = tmp_path / name
        if method == SUM:
            weighted = [(str(path), w) for path, w in zip(paths, (0.5, 0.7, -0.2), strict=True)]
            manifest = carry_out(plan_weighted_sum(weighted, out, dtype=dtype))
        else:
            instruct, thinking, base = (str(path) for path in paths)
            pair = Pair(instruct=instruct, thinking=thinking, base=base)
            manifest = merge(METHODS[method], pair, out, dtype=dtype)
        shards.append(manifest.shards)
    assert shards[0] == shards[1]


def test_an_end_keeps_the_bits_of_nan(tmp_path: Path) -> None:
    """λ = 0 and λ = 1 copy: nothing is computed that could touch a payload."""
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    name = "model.norm.weight"
    for path, first in zip(paths, (0x7F81, -1), strict=True):
        weights = load(path)
        weights[name].view(torch.int16)[0] = first
        store(path, weights)
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
    for side, path in enumerate(paths):
        out = tmp_path / str(side)
        merge(interpolation(float(side)), pair, out, allow_nonfinite=True)
        assert same_bits(load(out)[name], load(path)[name])


def test_a_library_from_another_source_is_not_used(library: ctypes.CDLL, tmp_path: Path) -> None:
    changed = tmp_path / "changed.c"
    changed.write_text(compiled_kernel.SOURCE.read_text() + "/* changed */\n")
    assert not hatch_build.compile_kernel(changed, tmp_path / "changed.so")
    assert load_library(tmp_path / "changed.so") is None


def test_without_a_usable_library_numpy_mixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"\x7fELF")
    assert load_library(damaged) is None
    assert load_library(tmp_path / "missing.so") is None
    monkeypatch.setattr(compiled_kernel, "compiled_library", lambda: None)
    assert isinstance(compiled_kernel.make_kernel(), NumpyKernel)
    assert compiled_kernel.kernel_name() == f"NumPy {np.__version__}"


def test_a_build_without_a_working_compiler_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MI_TUI_PURE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    library = tmp_path / "kernel.so"
    assert hatch_build.compile_kernel(compiled_kernel.SOURCE, library) == "there is no C compiler"
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    assert "No such file" in hatch_build.compile_kernel(compiled_kernel.SOURCE, library)
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\necho cannot do that >&2\nexit 1\n")
    failing.chmod(0o755)
    assert "cannot do that" in hatch_build.compile_kernel(compiled_kernel.SOURCE, library)
    monkeypatch.setenv("MI_TUI_PURE", "1")
    assert hatch_build.compile_kernel(compiled_kernel.SOURCE, library) == "MI_TUI_PURE is set"
    assert not library.exists()
