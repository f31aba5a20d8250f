"""Commands run code of checkpoints with the user's consent, or not at all."""

import json
from pathlib import Path

import pytest

from mi_tui.api.study import Study
from mi_tui.plan.preset import Preset
from mi_tui.plan.remote_code import RemoteCodeError
from mi_tui.plan.toml import write_preset
from mi_tui.study.control import create_study
from mi_tui.study.remote_code import require_consent
from tests.checkpoints.planted import plant_code, planted_pair
from tests.cli.command import command
from tests.study.presets import small_preset


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marks"


@pytest.fixture
def sides(tmp_path: Path, marker: Path) -> tuple[Path, Path]:
    return planted_pair(tmp_path / "pair", marker)


def preset_on(sides: tuple[Path, Path], trust: bool = True) -> Preset:
    small = small_preset(problems=4, samples=1)
    pair = small.pair.model_copy(
        update={
            "instruct": str(sides[0]),
            "thinking": str(sides[1]),
            "trust_remote_code": trust,
        }
    )
    return small.model_copy(update={"pair": pair})


def file_of(preset: Preset, folder: Path) -> str:
    write_preset(preset, folder / "theirs.toml")
    return str(folder / "theirs.toml")


def test_a_preset_alone_runs_no_code(
    tmp_path: Path, sides: tuple[Path, Path], marker: Path
) -> None:
    preset = file_of(preset_on(sides), tmp_path)
    for arguments in (
        ("run", preset, "--study", str(tmp_path / "study")),
        ("doctor", "--preset", preset),
        ("presets", preset),
        ("presets", preset, "--json"),
    ):
        refused = command(*arguments)
        assert refused.returncode == 2, arguments
        (line,) = refused.stderr.strip().splitlines()
        assert f"code of {sides[0]} at revision sha256:" in line
        assert "own.py" in line
        assert "--trust-remote-code" in line
    assert not (tmp_path / "study").exists()
    assert not marker.exists()


@pytest.mark.slow
def test_run_with_the_flag_runs_it_until_it_changes(
    tmp_path: Path, sides: tuple[Path, Path], marker: Path
) -> None:
    preset, study = file_of(preset_on(sides), tmp_path), str(tmp_path / "study")
    done = command("run", preset, "--study", study, "--trust-remote-code", "--json")
    assert done.returncode in (0, 3), done.stderr
    assert "ran" in marker.read_text()
    listed = json.loads(command("trust", "--json").stdout)
    assert sorted(one["of"] for one in listed) == sorted(str(side) for side in sides)
    assert command("presets", preset).returncode == 0
    marker.unlink()
    plant_code(sides[0], marker, word="changed")
    refused = command("run", preset, "--study", study)
    assert refused.returncode == 2
    assert str(sides[0]) in refused.stderr
    assert not marker.exists()


@pytest.mark.slow
def test_the_flag_asks_for_code_that_the_preset_does_not_name(
    tmp_path: Path, sides: tuple[Path, Path], marker: Path
) -> None:
    preset = file_of(preset_on(sides, trust=False), tmp_path)
    done = command("doctor", "--preset", preset, "--trust-remote-code", "--json")
    assert done.returncode == 0, done.stderr
    assert "ran" in marker.read_text()


def test_a_study_of_others_runs_no_code(
    tmp_path: Path, sides: tuple[Path, Path], marker: Path
) -> None:
    path = create_study(preset_on(sides), tmp_path / "study")
    with Study.load(path) as study:
        with pytest.raises(RemoteCodeError):
            study.start()
        with pytest.raises(RemoteCodeError):
            study.resume()
        with pytest.raises(RemoteCodeError):
            study.extend("+5 rollouts")
        study.trust_remote_code()
        require_consent(study.preset)
    assert not marker.exists()


def test_a_worker_of_such_a_study_ends_and_says_why(
    tmp_path: Path, sides: tuple[Path, Path], marker: Path
) -> None:
    from mi_tui.study.storage.folder import StudyFolder
    from mi_tui.study.view import StudyState
    from mi_tui.study.worker.process import work

    path = create_study(preset_on(sides), tmp_path / "study")
    assert work(StudyFolder(path)) is StudyState.FAILED
    with Study.load(path) as study:
        assert "--trust-remote-code" in study.view().message
    assert not marker.exists()


@pytest.mark.slow
def test_check_refuses_without_consent_and_runs_it_with(
    sides: tuple[Path, Path], marker: Path
) -> None:
    both = [str(side) for side in sides]
    refused = command("check", *both, "--json")
    assert refused.returncode == 1
    found = json.loads(refused.stdout)["findings"]
    wrong = [one for one in found if one["subject"] == "remote code"]
    assert [one["level"] for one in wrong] == ["error", "error"]
    assert "at revision sha256:" in wrong[0]["message"]
    assert not marker.exists()
    assert command("check", *both, "--trust-remote-code").returncode == 0
    assert marker.exists()
    marker.unlink()
    plant_code(sides[1], marker, word="changed")
    assert command("check", *both).returncode == 1
    assert not marker.exists()


def test_consent_is_listed_and_taken_back(sides: tuple[Path, Path], tmp_path: Path) -> None:
    assert "no code" in command("trust").stderr
    assert command("trust", "--revoke", "nobody").returncode == 2
    preset = file_of(preset_on(sides), tmp_path)
    with Study.create(preset_on(sides), tmp_path / "study", trust_remote_code=True):
        listed = command("trust").stdout
    assert str(sides[0]) in listed
    assert "you allowed it" in command("presets", preset).stdout
    assert command("trust", "--revoke", str(sides[0])).returncode == 0
    assert str(sides[0]) not in command("trust").stdout
    assert command("presets", preset).returncode == 2


def test_the_flag_of_presets_allows_without_running(
    sides: tuple[Path, Path], tmp_path: Path, marker: Path
) -> None:
    preset = file_of(preset_on(sides), tmp_path)
    assert command("presets", preset, "--trust-remote-code").returncode == 0
    assert command("presets", preset).returncode == 0
    assert not marker.exists()
