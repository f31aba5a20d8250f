"""No part of an engine runs a checkpoint's code before the user allows it, nor once it changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mi_tui.checkpoints.checks.remote_code import remote_code
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.open import open_engine
from mi_tui.engines.transformers.load_report import load_reports
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.replicas import Replicas
from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.remote_code import RemoteCodeError, allow
from tests.checkpoints.planted import plant_code, planted_pair

PLAN = EnginePlan(device="cpu", dtype="float32", threads=1, batch=2)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))


def engine(pair: Pair) -> None:
    open_engine(PLAN, pair).close()


def replicas(pair: Pair) -> None:
    Replicas.open([PLAN, PLAN], pair).close()


def tensors(pair: Pair) -> None:
    import torch

    PairTensors.load(pair, dtype=torch.float32, device=torch.device("cpu"))


def report(pair: Pair) -> None:
    (found,) = load_reports([inspect(locate(pair.instruct))], trust_remote_code=True)
    if found.unknown:
        raise MiTuiError(found.unknown)


@pytest.mark.parametrize(
    "load",
    [
        engine,
        tensors,
        pytest.param(replicas, marks=pytest.mark.slow),
        pytest.param(report, marks=pytest.mark.slow),
    ],
)
def test_code_runs_with_consent_alone(load: Callable[[Pair], None], tmp_path: Path) -> None:
    marker = tmp_path / "marks"
    sides = planted_pair(tmp_path, marker)
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]), trust_remote_code=True)
    with pytest.raises(MiTuiError):
        load(pair)
    assert not marker.exists()
    allow(remote_code(locate(str(side))) for side in sides)
    load(pair)
    assert "ran" in marker.read_text()
    marker.unlink()
    for side in sides:
        plant_code(side, marker, word="changed")
    with pytest.raises(MiTuiError):
        load(pair)
    assert not marker.exists()


def test_the_code_of_a_tokenizer_needs_consent(tmp_path: Path) -> None:
    sides = planted_pair(tmp_path, tmp_path / "marks")
    for side in sides:
        config = json.loads((side / "config.json").read_text()) | {"auto_map": {}}
        (side / "config.json").write_text(json.dumps(config))
        named = side / "tokenizer_config.json"
        content = json.loads(named.read_text()) | {"auto_map": {"AutoTokenizer": ["own.T", None]}}
        named.write_text(json.dumps(content))
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]), trust_remote_code=True)
    with pytest.raises(RemoteCodeError):
        open_engine(PLAN, pair)
    assert not (tmp_path / "marks").exists()
