"""σ, TIES' trimming, and what may be imported."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.kernels.ties import Floats, find_trim, merge_disjoint
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.relative_gap import relative_gap
from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind
from mi_tui.sizes import in_bytes, in_numbers
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load


def sigma(names: list[str], a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    difference = sum(float((a[n].double() - b[n].double()).abs().sum()) for n in names)
    size = sum(float(a[n].double().abs().sum() + b[n].double().abs().sum()) for n in names)
    return difference / size


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16])
def test_sigma_of_the_whole_and_its_parts(dtype: torch.dtype, tmp_path: Path) -> None:
    paths = tiny_pair("qwen3_moe", tmp_path, shards=(2, 1), dtype=dtype)
    one, two = (inspect(locate(str(path))) for path in paths)
    a, b = load(paths[0]), load(paths[1])
    seen: list[int] = []
    gap = relative_gap(one, two, progress=lambda done, _: seen.append(done))
    assert seen[-1] == one.nbytes
    assert gap.sigma == pytest.approx(sigma(list(a), a, b), rel=1e-6)
    for layer, value in gap.by_layer.items():
        names = [name for name in a if role_of(name).layer == layer]
        assert value == pytest.approx(sigma(names, a, b), rel=1e-6)
    for kind, value in gap.by_kind.items():
        names = [name for name in a if role_of(name).kind == kind]
        assert value == pytest.approx(sigma(names, a, b), rel=1e-6)
    assert {(cell.layer, cell.kind) for cell in gap.cells} == {
        (role_of(name).layer, role_of(name).kind) for name in a
    }
    assert sum(cell.elements for cell in gap.cells) == one.parameters
    assert list(gap.by_layer) == [0, 1, 2, 3]
    assert ModuleKind.ROUTER in gap.by_kind
    assert gap.as_dict()["cells"][0]["layer"] == 0


def test_sigma_of_a_checkpoint_with_itself_is_zero(tmp_path: Path) -> None:
    info = inspect(locate(str(tiny_pair("llama", tmp_path)[0])))
    assert relative_gap(info, info).sigma == 0.0


CHANGES = st.lists(
    st.floats(-10, 10, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0]), min_size=1, max_size=300
)


@given(CHANGES, st.floats(0.01, 1.0), st.integers(1, 100))
def test_trimming_keeps_exactly_the_largest(values: list[float], density: float, step: int) -> None:
    change = np.array(values, np.float32)

    def chunks() -> list[Floats]:
        return [change[i : i + step].copy() for i in range(0, len(change), step)]

    trim = find_trim(chunks, len(change), density)
    trimmed = chunks()
    for chunk in trimmed:
        trim.apply(chunk)
    result = np.concatenate(trimmed)
    keep = len(change) if density >= 1 else max(1, int(density * len(change)))
    order = np.argsort(-np.abs(change), kind="stable")
    expected = np.zeros_like(change)
    expected[order[:keep]] = change[order[:keep]]
    assert np.array_equal(result, expected)


def test_signs_are_elected_and_agreeing_changes_averaged() -> None:
    one = np.array([1.0, 3.0, -1.0, 0.0, 2.0], np.float32)
    two = np.array([3.0, -1.0, -3.0, 4.0, -2.0], np.float32)
    out = np.empty(5, np.float32)
    merge_disjoint([(1.0, one), (1.0, two)], out)
    assert out.tolist() == [2.0, 3.0, -2.0, 4.0, 2.0]


def test_the_gap_of_a_fresh_pair_is_a_number(tmp_path: Path) -> None:
    one, two = (inspect(locate(str(path))) for path in tiny_pair("qwen3", tmp_path))
    assert not math.isnan(relative_gap(one, two).sigma)


def test_sizes_in_words() -> None:
    assert [in_bytes(n) for n in (0, 999, 1000, 1217000, 8 * 2**30, 2**41)] == [
        "0 B",
        "999 B",
        "0.977 KiB",
        "1.16 MiB",
        "8 GiB",
        "2 TiB",
    ]
    assert [in_numbers(n) for n in (12, 605_000, 4.02e9, 1e12)] == ["12", "605 k", "4.02 B", "1 T"]


def test_checking_and_merging_import_no_torch() -> None:
    modules = [
        "compare",
        "inspect",
        "locate",
        "merging.manifest",
        "merging.plan",
        "remote",
        "roles",
        "relative_gap",
        "merging.write",
    ]
    code = "import sys\n" + "".join(f"import mi_tui.checkpoints.{name}\n" for name in modules)
    code += "assert not {'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_merging_needs_numpy_only_where_there_is_no_compiled_kernel() -> None:
    """Its import takes a good part of the time before the first byte."""
    code = "import sys, mi_tui.checkpoints.merging.write\nassert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
