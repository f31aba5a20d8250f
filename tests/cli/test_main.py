"""The command line as a user meets it: quick, one-line errors, documented exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mi_tui.cli import main
from mi_tui.errors import MiTuiError
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.toml import read_preset, write_preset
from mi_tui.probes.kinds.user_file import FileProbe
from mi_tui.study.control import create_study
from mi_tui.study.storage.lock import acquire
from mi_tui.study.storage.store import Store
from tests.cli.command import command
from tests.study.presets import small_preset


def mi_tui(
    *arguments: str, timeout: float = 300.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mi_tui", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
        check=False,
    )


BUNDLED = ("merge", "--instruct", "bundled:instruct", "--thinking", "bundled:thinking")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    # Here the speed of the merged model is measured for real.
    write_preset(small_preset().model_copy(update={"server": None}), path)
    return path


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import mi_tui.cli.main", "torch transformers textual scipy numpy pydantic"),
        ("import mi_tui.tui.app", "torch transformers numpy scipy"),
        ("import mi_tui.machine.resources", "torch numpy pydantic rich"),
        ("import mi_tui.study.preflight", "torch transformers numpy scipy rich"),
        ("import mi_tui.study.reader, mi_tui.export.bundle", "torch transformers"),
        (
            "import mi_tui.checkpoints.checks.compare, mi_tui.checkpoints.merging.write",
            "torch transformers",
        ),
    ],
)
def test_light_parts_import_nothing_heavy(code: str, unwanted: str) -> None:
    check = f"{code}\nimport sys\nprint(*[m for m in {unwanted.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_run_gives_json_and_everything_after_it_works(
    small: Path, studies: Path, tmp_path: Path
) -> None:
    done = mi_tui("run", str(small), "--json")
    assert done.returncode in (0, 3), done.stderr
    found = json.loads(done.stdout)
    answer = found["recommendation"]
    assert (done.returncode == 0) == (answer["resolved"] and answer["feasible"])
    assert 0.0 <= answer["lambda_low"] <= answer["lambda"] <= answer["lambda_high"] <= 1.0
    assert answer["stage"] in (1, 2, 3)
    assert set(answer["tokens_saved"]) == {"value", "low", "high"}
    assert {"MI-0", "MI-0.6", "MI-1"} <= {row["label"] for row in found["table"]}

    (path,) = studies.iterdir()
    listed = json.loads(command("studies", "--json").stdout)
    assert [(entry["name"], entry["state"]) for entry in listed] == [(path.name, "done")]
    watched = command("watch", path.name, "--plain")
    assert "MI-0.6" in watched.stdout
    assert "─" not in watched.stdout  # sentences, not a table
    other = command("recommend", path.name, "--budget", "tokens<=20", "--json")
    assert json.loads(other.stdout)["recommendation"]["tokens"]["value"] < 40
    hopeless = command("recommend", path.name, "--budget", "tokens<=1", "--json")
    assert hopeless.returncode == 3
    assert not json.loads(hopeless.stdout)["recommendation"]["feasible"]
    _stop_short(path)
    assert command("recommend", path.name, "--budget", "tokens<=1").stderr == ""
    again = command("watch", path.name, "--plain")
    assert again.returncode == 0
    out = tmp_path / "out"
    exported = command("export", path.name, "--to", str(out), "--format", "all")
    assert exported.returncode == 0, exported.stderr
    assert [Path(line).exists() for line in exported.stdout.split()] == [True] * 10
    assert command("merge", "--verify", str(out / "checkpoint")).returncode == 0


def _stop_short(path: Path) -> None:
    """Make it a study that failed after its rollouts: they can be asked all the same."""
    with Store(path / "study.db") as store:
        store.put(state="failed", message="out of memory")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), "No such command"),
        (("run", "no-such-preset"), "no preset"),
        (("run", "missing.toml"), "missing.toml"),
        (("watch", "nothing"), "no study"),
        (("recommend", "nothing"), "no study"),
        (("export", "nothing"), "no study"),
        (("check", "/nowhere", "bundled:thinking"), "/nowhere"),
        (("merge",), "merge needs"),
        (("merge", "out"), "--instruct"),
        (("merge", "--instruct", "a", "--thinking", "b", "--lambda", "2", "out"), "lambda"),
        (("merge", "--model", "a", "out"), "PATH=WEIGHT"),
        ((*BUNDLED, "--lambda", "0.5", "--dtype", "int8", "out"), "int8"),
        ((*BUNDLED, "--lambda", "0.5", "--layers", "3-4", "out"), "layers 0-3"),
        ((*BUNDLED, "--lambda", "0.5", "--shard-gib", "0", "out"), "above 0"),
        ((*BUNDLED, "--method", "ties", "--scale", "1", "--density", "0.2", "out"), "base"),
        (("watch",), "no studies yet"),
        (("run", "~nobody-of-this-name/x.toml"), "cannot read preset"),
        (("check", "~nobody-of-this-name/x", "b"), "no checkpoint"),
        (("check", "a" * 300, "b"), "no checkpoint"),
        (("recommend", ""), "empty"),
        (("demo",), "needs a terminal"),
        (("presets", "--example"), "needs a preset"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(arguments: tuple[str, ...], says: str) -> None:
    done = command(*arguments)
    assert done.returncode not in (0, 70)
    assert done.stdout == ""
    assert done.stderr.startswith("mi-tui: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    not_a_checkpoint = tmp_path / "empty"
    not_a_checkpoint.mkdir()
    for reference in (str(not_a_checkpoint), str(tmp_path / "nowhere")):
        preset = small_preset()
        pair = preset.pair.model_copy(update={"thinking": reference})
        write_preset(preset.model_copy(update={"pair": pair}), tmp_path / "bad.toml")
        done = command("run", str(tmp_path / "bad.toml"))
        assert done.returncode == 2
        assert reference in done.stderr
        assert "Traceback" not in done.stderr


def test_a_pair_of_different_shapes_is_refused_before_anything_starts(
    tmp_path: Path, studies: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(demo_pair_folder() / "thinking", other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "hidden_size": 256}))
    weights = load_file(other / "model.safetensors")
    wide = {name: torch.cat([tensor, tensor]) for name, tensor in weights.items()}
    save_file(wide, other / "model.safetensors", metadata={"format": "pt"})
    preset = small_preset()
    pair = preset.pair.model_copy(update={"thinking": str(other)})
    write_preset(preset.model_copy(update={"pair": pair}), tmp_path / "bad.toml")
    done = command("run", str(tmp_path / "bad.toml"))
    assert done.returncode == 2
    assert "cannot be mixed" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not studies.exists()


def test_an_unwritable_study_directory_is_refused(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("run", str(small), "--study", str(tmp_path / "file" / "study"))
    assert done.returncode == 2
    assert "cannot write the study directory" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_worker_is_refused_and_the_first_goes_on(small: Path, tmp_path: Path) -> None:
    path = create_study(read_preset(small), tmp_path / "study")
    lock = acquire(path / "worker.lock")
    try:
        done = command("run", str(small), "--study", str(path))
    finally:
        os.close(lock)
    assert done.returncode == 4
    assert "a worker is running" in done.stderr


def test_lists_have_json() -> None:
    (demo,) = json.loads(command("presets", "demo", "--json").stdout)
    assert (demo["name"], demo["title"], demo["problem"]) == ("demo", "Demo", None)
    assert "demo" in [entry["name"] for entry in json.loads(command("presets", "--json").stdout)]
    assert len(json.loads(command("themes", "--json").stdout)["themes"]) >= 2
    assert "cores" in json.loads(command("doctor", "--json").stdout)


def test_an_example_of_each_probe_is_shown_before_anything_runs(studies: Path) -> None:
    done = command("presets", "demo", "--example")
    assert done.returncode == 0, done.stderr
    assert "held out to confirm" in done.stdout
    (example,) = json.loads(command("presets", "demo", "--example", "--json").stdout)
    assert example["prompt"] in done.stdout
    assert f"Right answer: {example['answer']}" in done.stdout
    assert not studies.exists()


def test_a_hostile_problem_is_shown_harmless(tmp_path: Path) -> None:
    data = tmp_path / "mine.jsonl"
    prompt = "\x1b]0;owned\x07[bold]2+2\x9b2J?"
    data.write_text("".join(json.dumps({"prompt": prompt, "answer": "4"}) + "\n" for _ in "abcd"))
    preset = small_preset()
    probes = (
        FileProbe(kind="file", path=str(data)),
        FileProbe(kind="file", name="no", path="nowhere.csv"),
    )
    write_preset(preset.model_copy(update={"probes": probes}), tmp_path / "mine.toml")
    done = command("presets", str(tmp_path / "mine.toml"), "--example")
    assert "[bold]2+2?" in done.stdout
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout)
    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broken_preset_in_the_users_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "mi-tui" / "presets"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("title = 3\n")
    done = command("presets")
    assert done.returncode == 2
    assert "mine" in done.stdout
    assert "mine.toml: title = 3" in done.stdout


def test_an_error_that_others_wrote_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise MiTuiError("the server said \x1b]0;owned\x07no\x9b2J")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit):
        main.run()
    assert capsys.readouterr().err == "mi-tui: the server said no\n"


def test_no_error_steers_a_terminal_wherever_it_is_shown() -> None:
    error = MiTuiError(
        "it says \x1b]8;;http://x\x07this\x1b]8;;\x07\x1b[2J and\u202e \ud800that\x9bm"
    )
    assert str(error) == "it says this and \ufffdthat"


def test_any_command_that_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("mi_tui.study.control.list_studies", interrupt)
    monkeypatch.setattr("sys.argv", ["mi-tui", "studies"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "mi-tui: stopped\n"
