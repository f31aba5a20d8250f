"""vLLM's second model runner, its default on GPUs, for real on a CPU.

Its Triton kernels run in Triton's interpreter. That cannot run the kernel for top-p and top-k, so
the tests chosen are those that leave both alone.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
_CHOSEN = (
    "test_lambdas_and_scopes_in_one_batch",
    "test_requests_name_a_number_or_nothing_and_nonsense_is_refused_before_it_runs",
    "test_the_self_check_passes",
    "test_texts_counts_and_caps",
    "test_a_seed_decides_a_response_whose_prompt_is_read_in_parts",
    "test_cached_prompts_are_shared_within_a_recipe_and_never_across",
    "test_the_samples_of_one_recipe_read_their_prompt_once",
    "test_requests_come_and_go_while_others_run",
    "test_baselines_and_exported_weights_take_turns_with_one_pass",
)


def test_the_second_runner_passes_the_tests_of_the_first() -> None:
    pytest.importorskip("triton")
    path = os.pathsep.join(filter(None, (str(_HERE / "interpreted"), os.environ.get("PYTHONPATH"))))
    environment = {
        "PYTHONPATH": path,
        "TRITON_INTERPRET": "1",
        "VLLM_USE_V2_MODEL_RUNNER": "1",
        "VLLM_LOGGING_LEVEL": "INFO",
    }
    tests = [f"{_HERE / 'test_engine_demo_pair.py'}::{name}" for name in _CHOSEN]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow", *tests],
        cwd=_ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert f"{len(_CHOSEN)} passed" in said
    assert "Using V2 Model Runner" in said
