"""The merge command's own arguments: rules, weighted sums and their donor, verifying."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import torch

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.roles import role_of
from mi_tui.cli.main import app
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.errors import MiTuiError
from mi_tui.plan.scope import ModuleKind
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load, same_bits, store


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("pair")
    return tiny_pair("qwen3", folder, dtype=torch.bfloat16, base=True)


@pytest.fixture
def sides(paths: tuple[Path, ...]) -> list[str]:
    return ["--instruct", str(paths[0]), "--thinking", str(paths[1])]


def mi_tui(*arguments: str) -> None:
    app(["merge", *arguments], standalone_mode=False)


def test_rules_give_parts_a_lambda_of_their_own(
    paths: tuple[Path, ...],
    sides: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rules = ["--rule", "lambda=0.2 layers=0-1 modules=ffn", "--rule", "lambda=1 modules=norms"]
    mi_tui(*sides, "--lambda", "0.5", *rules, str(tmp_path / "out"))
    said = capsys.readouterr().err
    assert "\nλ = 0.2: layers 0–1 · FFN only\nλ = 1: norms only\n" in said
    one, two = load(paths[0]), load(paths[1])
    for name, tensor in load(tmp_path / "out").items():
        role = role_of(name)
        early_ffn = role.kind is ModuleKind.FFN and role.layer in (0, 1)
        lambda_ = 1.0 if role.kind is ModuleKind.NORMS else 0.2 if early_ffn else 0.5
        assert same_bits(tensor, mix(one[name], two[name], lambda_)), name


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rule", "lamda=0.2"], "write for example"),
        (["--rule", "lambda=x"], "write for example"),
        (["--rule", "layers=0-1"], "lambda is missing"),
        (["--rule", "lambda=0.2 layers=0-9"], "layers 0-9"),
        (["--rule", "lambda=0.2 modules=mlp"], "attention"),
        (["--lambda", "1.5"], "^merge: lambda = 1.5: "),
        (["--shard-gib", "nan"], "above 0"),
        (["--shard-gib", "inf"], "above 0"),
        (["--donor", "nobody"], "donor"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], complaint: str, sides: list[str], tmp_path: Path
) -> None:
    with pytest.raises(MiTuiError, match=complaint):
        mi_tui(*sides, "--lambda", "0.5", *arguments, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_donor_of_a_weighted_sum_is_named_by_its_number(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    weights = zip(paths, ("0.5", "0.3", "0.2"), strict=True)
    models = [part for path, weight in weights for part in ("--model", f"{path}={weight}")]
    mi_tui(*models, "--donor", "1", str(tmp_path / "out"))
    template = "chat_template.jinja"
    assert (tmp_path / "out" / template).read_bytes() == (paths[0] / template).read_bytes()
    for more in (["--donor", "4"], ["--donor", "thinking"], ["--lambda", "0.5"], ["--layers", "1"]):
        with pytest.raises(MiTuiError, match="weighted sum"):
            mi_tui(*models, *more, str(tmp_path / "other"))
    with pytest.raises(MiTuiError, match="PATH=WEIGHT"):
        mi_tui("--model", f"{paths[0]}=inf", "--model", f"{paths[1]}=-inf", str(tmp_path / "other"))


def test_verifying_gives_json(
    sides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    mi_tui(*sides, "--lambda", "0.5", str(out))
    capsys.readouterr()
    mi_tui("--verify", str(out), "--json")
    assert {finding["level"] for finding in json.loads(capsys.readouterr().out)} == {"ok"}
    (out / "config.json").write_text("{}")
    with pytest.raises(MiTuiError, match="not as it was written"):
        mi_tui("--verify", str(out), "--json")
    levels = {f["subject"]: f["level"] for f in json.loads(capsys.readouterr().out)}
    assert levels["config.json"] == "error"


def test_what_is_no_file_is_never_read(tmp_path: Path) -> None:
    """A pipe would block for ever, a device might never end."""
    thinking = tiny_pair("qwen3", tmp_path)[1]
    weights = thinking / "model.safetensors"
    weights.unlink()
    os.mkfifo(weights)
    assert inspect(locate(str(thinking))).problems
    (thinking / "tokenizer.json").unlink()
    (thinking / "tokenizer.json").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is no file"):
        inspect(locate(str(thinking)))


def test_sigma_is_drawn_as_a_heat_map_and_given_as_json(
    paths: tuple[Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A row for each of the four layers, with σ of each kind of module."""
    command = ["check", str(paths[0]), str(paths[1]), "--sigma"]
    app(command, standalone_mode=False)
    drawn = capsys.readouterr().out
    app([*command, "--json"], standalone_mode=False)
    sigma = json.loads(capsys.readouterr().out)["sigma"]
    assert f"σ = {sigma['sigma']:.4f}" in drawn
    cells = {(cell["layer"], cell["module"]): cell["sigma"] for cell in sigma["cells"]}
    for layer in range(4):
        (row,) = re.findall(rf"^layer +{layer} .*$", drawn, re.MULTILINE)
        assert f"{cells[layer, 'attention']:.4f}" in row
        assert f"{cells[layer, 'ffn']:.4f}" in row


PROGRESS = """
import time
from mi_tui.cli.progress import byte_progress
with byte_progress("merging") as report:
    for done in range(1, 8):
        report(done * 100_000_000, 1_000_000_000)
        time.sleep(0.1)
"""


def test_on_a_terminal_progress_has_rate_and_time_left() -> None:
    drawn = str(pexpect.run(f"{sys.executable} -c '{PROGRESS}'"))
    assert "merging" in drawn
    assert re.search(r"\d MB/s", drawn)
    assert re.search(r"\d:\d\d:\d\d", drawn)


WAITING = """
import sys, time
from mi_tui.checkpoints.merging import write
from mi_tui.cli.main import run

original = write.{moment}

def wait(*arguments, **more):
    if {after}:
        original(*arguments, **more)
    print("waiting", flush=True)
    time.sleep(60)

write.{moment} = wait
sys.argv = ["mi-tui", "merge", *sys.argv[1:]]
run()
"""


@pytest.mark.parametrize(
    ("moment", "after", "said"),
    [
        ("copy_companions", False, "stopped: nothing was written to {out}"),
        ("carry_out", True, "stopped, but {out} was complete already"),
    ],
)
def test_ctrl_c_says_what_was_written(
    moment: str, after: bool, said: str, sides: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "place" / "out"
    code = WAITING.format(moment=moment, after=after)
    command = [sys.executable, "-c", code, *sides, "--lambda", "0.5", str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "mi-tui: " + said.format(out=out)
    assert "Traceback" not in errors
    assert sorted(out.parent.glob("*")) + sorted(out.parent.glob(".*")) == [out] * after


@pytest.mark.parametrize("as_sum", [False, True])
def test_prediction_layers_that_are_left_out_are_counted(
    as_sum: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    store(thinking, load(thinking) | {"mtp.fc.weight": torch.ones(32, 64)})
    pair = ["--instruct", str(instruct), "--thinking", str(thinking), "--lambda", "0.5"]
    weighted = ["--model", f"{instruct}=0.5", "--model", f"{thinking}=0.5"]
    asked = weighted if as_sum else pair
    mi_tui(*asked, "--prediction-layers", "drop", str(tmp_path / "out"))
    assert (
        "left out, as asked: 1 tensor of layers that predict further tokens"
        in capsys.readouterr().err
    )
    assert "mtp.fc.weight" not in load(tmp_path / "out")
    mi_tui(*asked, str(tmp_path / "kept"))
    assert "mtp.fc.weight" in load(tmp_path / "kept")
