"""σ, the relative gap between two checkpoints: of the whole, of layers and of module kinds."""

import math
from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.relative_gap import relative_gap
from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind
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


def test_the_gap_of_a_fresh_pair_is_a_number(tmp_path: Path) -> None:
    one, two = (inspect(locate(str(path))) for path in tiny_pair("qwen3", tmp_path))
    assert not math.isnan(relative_gap(one, two).sigma)
