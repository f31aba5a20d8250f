"""Speeds: the user's figures take the place of a measurement; an earlier one is found again."""

import platform
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError

from mi_tui.analysis.latency import GIVEN, Latency, latency_of_server
from mi_tui.plan.engine import ServerSpeed
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.toml import read_preset, write_preset
from mi_tui.study.control import create_study
from mi_tui.study.known_speeds import known_speed
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.study.presets import small_preset

SERVER = ServerSpeed(time_to_first_token=0.25, time_per_output_token=0.02)
PAIR = Pair(instruct="bundled:instruct", thinking="bundled:thinking")


def measured(path: Path, machine: str, each: float) -> None:
    """Keep a speed as the worker does."""
    with Store(StudyFolder(path).database) as store:
        store.put(
            latency={
                "machine": machine,
                "latency": asdict(Latency(0.01, each)),
                "points": [
                    {"concurrency": 4, "time_to_first_token": 0.1, "time_per_output_token": each}
                ],
            },
            progress={"tokens": 9000, "elapsed_seconds": 3.0},
        )


def test_a_server_is_written_and_read_and_kept_within_reason(tmp_path: Path) -> None:
    preset = small_preset().model_copy(update={"server": SERVER})
    write_preset(preset, tmp_path / "p.toml")
    assert read_preset(tmp_path / "p.toml") == preset
    without = small_preset().model_copy(update={"server": None})
    assert Preset.model_validate(without.model_dump()).server is None
    with pytest.raises(ValidationError):
        ServerSpeed(time_to_first_token=0.1, time_per_output_token=0.0)


def test_the_figures_given_are_taken_as_exact() -> None:
    assert latency_of_server(SERVER).seconds(101) == pytest.approx(2.25)
    assert latency_of_server(SERVER).relative_error == 0.0


def test_a_study_with_a_server_measures_nothing_and_projects_from_it(tmp_path: Path) -> None:
    preset = small_preset(problems=4, samples=1, grid=(0.0, 1.0))
    path = create_study(preset.model_copy(update={"server": SERVER}), tmp_path / "study")
    assert work(StudyFolder(path)) is StudyState.DONE
    with Store(StudyFolder(path).database) as store:
        kept = store.get("latency")
    assert kept["machine"] == GIVEN
    assert Latency(**kept["latency"]) == latency_of_server(SERVER)


def test_the_latest_speed_of_the_same_pair_on_this_machine_is_found(tmp_path: Path) -> None:
    here = f"{platform.node()} · cpu · torch.float32"
    for name, machine, each in [
        ("elsewhere", "othernode · cuda · torch.bfloat16", 0.001),
        ("given", GIVEN, 0.02),
        ("here", here, 0.005),
    ]:
        measured(create_study(small_preset(), tmp_path / name), machine, each)
    other = small_preset().model_copy(update={"pair": Pair(instruct="a", thinking="b")})
    measured(create_study(other, tmp_path / "other"), here, 0.007)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.db").write_bytes(b"not a database" * 99)
    found = known_speed(PAIR, tmp_path)
    assert found is not None
    assert (found.study, found.machine) == ("here", here)
    assert found.latency.time_per_output_token == 0.005
    assert found.points[0].concurrency == 4
    assert found.tokens_per_second == 3000.0
    assert known_speed(PAIR, tmp_path / "nowhere") is None
