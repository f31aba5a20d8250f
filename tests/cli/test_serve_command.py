"""``mi-tui serve``: the plan, the command that is run, and what is refused before it."""

import json
import shlex
import socket
import sys
from pathlib import Path
from typing import Literal

import pytest

from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.library import find_preset
from mi_tui.plan.serve import ServePlan
from mi_tui.plan.toml import read_preset, write_preset
from mi_tui.serve.command import require_free
from tests.checkpoints.families import tiny_pair
from tests.cli.command import Done, command
from tests.serve.dials import CURVE

PAIR = ("--instruct", "bundled:instruct", "--thinking", "bundled:thinking")


def serve(*arguments: str) -> Done:
    return command("serve", *arguments)


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    _, demo = find_preset("demo")
    plan = ServePlan(lambda_=0.5, efforts={"none": 0.0, "low": 0.25, "high": 1.0}, measured=CURVE)
    path = tmp_path / "tuned.toml"
    write_preset(demo.model_copy(update={"serve": plan}), path)
    return path


def test_the_plan_says_each_effort_with_what_was_measured(preset: Path) -> None:
    done = serve(str(preset), "--dry-run", "--port", "8123")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "preset tuned: bundled:instruct and bundled:thinking"
    assert lines[1].endswith("at http://127.0.0.1:8123/v1")
    assert "vLLM, all recipes in one pass" in lines[2]
    rows = {line.split()[-1]: line for line in lines[4:8]}
    assert rows["low"].startswith("0.25")
    assert "0.400 (0.300–0.500)" in rows["low"]
    assert "20.0 (18.5–21.5)" in rows["low"]
    assert lines[6].startswith("0.5")
    assert lines[6].endswith("default")


def test_the_command_is_vllms_own_server_with_the_donors_tokenizer(preset: Path) -> None:
    done = serve(str(preset), "--dry-run", "--json", "--name", "pair", "--", "--api-key", "a b")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    words = plan["command"]
    assert words[:3] == [sys.executable, "-P", "-m"]
    assert words[3].startswith("vllm.entrypoints.")
    assert words[-2:] == ["--api-key", "a b"]
    options = dict(each.split("=", 1) for each in words if each.startswith("--") and "=" in each)
    assert options["--generation-config"].endswith("demo_pair/thinking")
    assert options["--generation-config"] in words, "the model is the donor's"
    assert options["--middleware"] == "mi_tui.serve.middleware.DialMiddleware"
    spec = json.loads(options["--additional-config"])["mi_tui"]
    assert (spec["one_pass"], spec["required"], spec["salted"]) == (True, True, True)
    assert spec["default"]["lambda"] == 0.5
    at = words.index("--served-model-name")
    assert words[at + 1 : at + 5] == ["pair", "pair@none", "pair@low", "pair@high"]
    dial = json.loads(plan["environment"]["MI_TUI_DIAL"])
    assert list(dial["efforts"]) == ["none", "low", "high"]


@pytest.mark.parametrize(("kind", "rows"), [("transformers", []), ("vllm", ["4"])])
def test_a_batch_is_the_servers_where_vllm_was_the_engine(
    preset: Path, kind: Literal["transformers", "vllm"], rows: list[str]
) -> None:
    written = read_preset(preset)
    engine = EnginePlan(kind=kind, batch=4, dtype="bfloat16")
    write_preset(written.model_copy(update={"engine": engine}), preset)
    words = json.loads(serve(str(preset), "--dry-run", "--json").stdout)["command"]
    said = [word.partition("=")[2] for word in words if word.startswith("--max-num-seqs=")]
    assert said == rows
    assert "--dtype=bfloat16" in words


def test_the_printed_command_is_the_one_that_would_run() -> None:
    as_text = serve(*PAIR, "--dry-run").stdout.splitlines()[-1]
    as_data = json.loads(serve(*PAIR, "--dry-run", "--json").stdout)
    own = [f"{name}={value}" for name, value in as_data["environment"].items()]

    def lasting(words: list[str]) -> list[str]:
        # The cache's bytes are what is free at the moment.
        return [word for word in words if not word.startswith("--kv-cache-memory-bytes=")]

    assert lasting(shlex.split(as_text)) == lasting([*own, *as_data["command"]])


def test_one_merged_model_takes_no_other_lambda() -> None:
    done = serve(*PAIR, "--merged", "--lambda", "0.3", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert plan["dial"]["fixed"]
    assert plan["dial"]["efforts"] == []
    config = next(each for each in plan["command"] if each.startswith("--additional-config="))
    spec = json.loads(config.partition("=")[2])["mi_tui"]
    assert (spec["one_pass"], spec["start"]["lambda"]) == (False, 0.3)


def test_experts_are_not_mixed_request_by_request_and_one_lambda_is_offered(
    tmp_path: Path,
) -> None:
    instruct, thinking = tiny_pair("qwen3_moe", tmp_path)
    pair = ("--instruct", str(instruct), "--thinking", str(thinking))
    done = serve(*pair, "--dry-run")
    assert done.returncode == 2
    assert "cannot be mixed request by request (its experts)" in done.stderr
    assert "serve one λ with --merged (λ = 0.5, or --lambda)" in done.stderr
    assert serve(*pair, "--merged", "--dry-run").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "serve needs a study, a preset, or --instruct and --thinking"),
        (("--instruct", "bundled:instruct"), "serve needs a study"),
        (("demo", *PAIR), "not both"),
        (("no-such-thing",), "neither a study nor a preset"),
        (("demo",), "preset demo has no table [serve]"),
        ((*PAIR, "--lambda", "1.5"), "--lambda 1.5: write a number from 0 to 1"),
        ((*PAIR, "--lambda", "nan"), "--lambda nan: write a number from 0 to 1"),
        ((*PAIR, "--name", "a@b"), "--name a@b: letters, digits"),
        ((*PAIR, "--port", "0"), "--port 0: write a number from 1"),
        ((*PAIR, "--donor", "both"), "--donor both: write instruct or thinking"),
        ((*PAIR, "--", "--load-format", "dummy"), "--load-format behind --: mi-tui serve sets it"),
        (("demo", "extra"), "unexpected argument extra"),
        (("--instruct", "no/dir/there", "--thinking", "bundled:thinking"), "no checkpoint at"),
        (("--instruct", "bundled:instruct", "--thinking", "missing.toml"), "no checkpoint at"),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments: tuple[str, ...], says: str) -> None:
    first, dashes, rest = arguments, arguments[:0], arguments[:0]
    if "--" in arguments:
        at = arguments.index("--")
        first, dashes, rest = arguments[:at], arguments[at : at + 1], arguments[at + 1 :]
    done = serve(*first, "--dry-run", *dashes, *rest)
    assert done.returncode == 2
    assert done.stderr.startswith("mi-tui: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_vllm_one_line_says_what_to_install() -> None:
    done = serve(*PAIR)
    assert done.returncode == 2
    assert done.stderr == (
        'mi-tui: serving needs vLLM, which is not installed: pip install "mi-tui[vllm]"\n'
    )


def test_a_port_that_is_taken_is_said_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MiTuiError, match=f"cannot listen at 127.0.0.1:{port}"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)
