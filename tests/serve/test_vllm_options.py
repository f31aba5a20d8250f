"""vLLM's options that a user passes on: every spelling of a refused one, and no other."""

import pytest

from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import EnginePlan
from mi_tui.serve.vllm_options import REFUSED, has, require_usable, with_sizes


@pytest.mark.parametrize(
    "option",
    [
        *REFUSED,
        "--load-format=dummy",
        "--load_format=dummy",
        "--additional-config.mi_tui.one_pass=false",
        "--additional_conf",
        "--served-model=x",
        "--spec",
        "--config=x.yaml",
        "--logits-proc",
        "-qawq",
        "-sc.model=x",
    ],
)
def test_what_would_serve_something_else_is_refused_in_every_spelling(option: str) -> None:
    with pytest.raises(MiTuiError, match="behind --"):
        require_usable(["--max-model-len", "5", option, "x"])


def test_other_options_pass() -> None:
    require_usable(
        [
            "--max-model-len",
            "4096",
            "--tokenizer-mode=auto",
            "--model-impl=vllm",
            "-tp",
            "2",
            "--middleware=my.own",
            "--enable-auto-tool-choice",
            "--api-key",
            "host",
            "-",
            "--",
        ]
    )


def test_sizes_reach_the_memory_plan() -> None:
    plan = with_sizes(EnginePlan(), ["-tp", "2", "--data_parallel_size=3", "-pp=4"])
    assert plan.vllm.tensor_parallel_size == 2
    assert plan.vllm.data_parallel_size == 3
    assert plan.vllm.pipeline_parallel_size == 4
    assert with_sizes(plan, ["--max-num-seqs", "8"]) is plan
    share = with_sizes(plan, ["--gpu-memory-utilization", "0.5"]).vllm.gpu_memory_utilization
    assert share == 0.5


@pytest.mark.parametrize("options", [["-tp"], ["-tp", "two"], ["-tp=0"], ["-dp", "--x"]])
def test_a_size_that_is_none_is_refused(options: list[str]) -> None:
    with pytest.raises(MiTuiError, match="behind --"):
        with_sizes(EnginePlan(), options)


def test_an_option_is_found_with_its_value() -> None:
    assert has(["--ssl-certfile=a"], "--ssl-certfile")
    assert not has(["--ssl-keyfile"], "--ssl-certfile")
