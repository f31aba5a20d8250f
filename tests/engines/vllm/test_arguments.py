"""A preset's engine section in vLLM's words, and the words for a request."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import EngineError, Request
from mi_tui.engines.vllm.arguments import engine_arguments, environment, sampling_arguments
from mi_tui.engines.vllm.worker.requested_lambda import RECIPE
from mi_tui.engines.vllm.worker.spec import ADMISSION, LOAD_FORMAT, PairSpec
from mi_tui.plan.engine import EnginePlan, VllmOptions
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.toml import parse_preset

PAIR = Pair(instruct="a", thinking="b")
SPEC = PairSpec(pair=PAIR, one_pass=True)


def arguments(plan: EnginePlan, spec: PairSpec | None = SPEC, *, on_cpu: bool = False) -> object:
    return engine_arguments(plan, Path("a"), spec, on_cpu=on_cpu, trust_remote_code=False)


def test_options_reach_vllm_under_its_own_names() -> None:
    options = VllmOptions(
        tensor_parallel_size=4,
        pipeline_parallel_size=2,
        data_parallel_size=3,
        executor="ray",
        gpu_memory_utilization=0.8,
        max_model_len=40960,
        enforce_eager=True,
    )
    plan = EnginePlan(kind="vllm", dtype="bfloat16", batch=64, vllm=options)
    made = engine_arguments(plan, Path("a"), SPEC, on_cpu=False, trust_remote_code=True)
    assert made["tensor_parallel_size"] == 4
    assert made["pipeline_parallel_size"] == 2
    assert made["data_parallel_size"] == 3
    assert made["distributed_executor_backend"] == "ray"
    assert made["data_parallel_backend"] == "ray"
    assert made["gpu_memory_utilization"] == 0.8
    assert made["max_model_len"] == 40960
    assert made["enforce_eager"]
    assert made["max_num_seqs"] == 64
    assert made["dtype"] == "bfloat16"
    assert made["trust_remote_code"]
    assert made["enable_prefix_caching"]
    assert made["load_format"] == LOAD_FORMAT
    assert made["logits_processors"] == [ADMISSION]


def test_defaults_leave_the_machine_to_vllm() -> None:
    made = engine_arguments(
        EnginePlan(kind="vllm"), Path("a"), SPEC, on_cpu=False, trust_remote_code=False
    )
    assert made["dtype"] == "auto"
    assert not made["enforce_eager"]
    assert not made["trust_remote_code"]
    assert "gpu_memory_utilization" not in made
    assert "max_num_seqs" not in made


def test_on_a_cpu_float32_eager_and_a_bounded_cache() -> None:
    made = engine_arguments(
        EnginePlan(kind="vllm"), Path("a"), SPEC, on_cpu=True, trust_remote_code=False
    )
    assert made["dtype"] == "float32"
    assert made["enforce_eager"]
    assert 0 < made["kv_cache_memory_bytes"] <= 4 << 30


def test_the_plain_model_knows_nothing_of_the_pair() -> None:
    made = engine_arguments(
        EnginePlan(kind="vllm"), Path("a"), None, on_cpu=False, trust_remote_code=False
    )
    assert made["load_format"] == "safetensors"
    assert "worker_extension_cls" not in made
    assert "logits_processors" not in made


def test_a_spec_survives_the_way_to_the_workers() -> None:
    spec = SPEC.model_copy(update={"start": Recipe(lambda_=0.7)})
    assert PairSpec.read(spec.additional_config()) == spec


def test_the_default_of_a_spec_must_be_an_interpolation_of_the_pair() -> None:
    for default in (Recipe(method="task-arithmetic", scale=0.5), Recipe(lambda_=0.5, backbone="c")):
        with pytest.raises(ValidationError, match="no interpolation of the pair"):
            PairSpec(pair=PAIR, one_pass=True, default=default)


def test_the_users_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    wanted = environment(EnginePlan(kind="vllm", threads=3))
    assert "VLLM_LOGGING_LEVEL" not in wanted
    assert wanted["OMP_NUM_THREADS"] == "3"
    assert wanted["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"


def test_a_request_carries_seed_decoding_and_what_to_mix() -> None:
    recipe = Recipe(lambda_=0.3, decoding=Decoding(temperature=0.7, top_p=0.8, top_k=20))
    request = Request(7, recipe, (5, 6), seed=(1 << 63) - 1, max_new_tokens=99)
    mixed = Recipe(lambda_=0.3)
    made = sampling_arguments(request, mixed, {4, 2})
    assert (made["temperature"], made["top_p"], made["top_k"]) == (0.7, 0.8, 20)
    assert made["seed"] == (1 << 63) - 1
    assert made["max_tokens"] == 99
    assert made["stop_token_ids"] == [2, 4]
    assert made["ignore_eos"]
    assert Recipe.from_json(made["extra_args"][RECIPE]) == mixed


def test_without_vllm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r'pip install "mi-tui\[vllm\]"'):
        open_engine(EnginePlan(kind="vllm"), PAIR)


def test_a_preset_names_the_options() -> None:
    text = """
        title = "Two GPUs"
        [pair]
        instruct = "a"
        thinking = "b"
        [[probes]]
        kind = "arithmetic"
        [engine]
        kind = "vllm"
        [engine.vllm]
        tensor_parallel_size = 2
    """
    assert parse_preset(text, "here").engine.vllm.tensor_parallel_size == 2


def test_no_ranks_are_refused() -> None:
    with pytest.raises(ValidationError):
        VllmOptions(tensor_parallel_size=0)
