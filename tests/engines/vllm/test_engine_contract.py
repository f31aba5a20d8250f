"""What we take the place of or call in vLLM is still what it was when we wrote it."""

import inspect
import json
import shlex
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from mi_tui.engines.protocol import Request
from mi_tui.engines.vllm.arguments import engine_arguments, generation_defaults, sampling_arguments
from mi_tui.engines.vllm.worker.contract import FIRST, SECOND, at, broken, require_kept
from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA
from mi_tui.engines.vllm.worker.spec import ADMISSION, LOAD_FORMAT
from mi_tui.export.formats.serve_checkpoint import serve_command
from mi_tui.plan.engine import EnginePlan, VllmOptions
from mi_tui.plan.recipe import Decoding, Recipe
from tests.engines.vllm.test_arguments import SPEC

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

ATTRIBUTES = {
    f"{FIRST}.__init__": "self.input_batch self.requests self.discard_request_mask self.device",
    f"{SECOND}.__init__": "self.device",
}
"""What the runners are read for."""


def test_the_installed_vllm_keeps_what_we_rely_on() -> None:
    assert list(broken()) == []
    require_kept()


def test_what_moved_is_named_with_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    state = at("vllm.v1.worker.gpu.model_states.interface:ModelState")
    loader = at("vllm.model_executor.model_loader.default_loader:DefaultModelLoader")
    engine = at("vllm.v1.engine.async_llm:AsyncLLM")
    monkeypatch.delattr(state, "add_request")
    monkeypatch.setattr(loader, "load_weights", lambda self, model, weights: None)
    monkeypatch.setattr(engine, "collective_rpc", lambda self, method: None)
    monkeypatch.setitem(sys.modules, "vllm.model_executor.layers.layernorm", None)
    with pytest.raises(RuntimeError) as refused:
        require_kept()
    version = at("vllm:__version__")
    said = str(refused.value)
    assert said.startswith(f"vLLM {version} is not the one that mi-tui was written for: ")
    assert said.endswith(' and 2 more: pip install "mi-tui[vllm]"')
    assert {"ModelState.add_request is missing", "AsyncLLM.collective_rpc takes no args"} <= set(
        broken()
    )
    assert "DefaultModelLoader.load_weights takes (model, weights)" in set(broken())
    assert "\n" not in said


@pytest.mark.parametrize("where", ATTRIBUTES)
def test_what_we_read_of_the_runners(where: str) -> None:
    source = inspect.getsource(at(where))
    for attribute in ATTRIBUTES[where].split():
        assert f"{attribute} = " in source or f"{attribute}: " in source, attribute


def test_the_runners_call_their_methods_by_name() -> None:
    for runner, names in (
        (FIRST, ["_prepare_inputs"]),
        (
            SECOND,
            [
                "model_state.add_request",
                "model_state.remove_request",
                "model_state.apply_staged_writes",
                "model_state.prepare_inputs",
            ],
        ),
    ):
        source = inspect.getsource(at(runner))
        for name in names:
            assert f"self.{name}(" in source


def test_a_model_may_name_the_class_of_its_state() -> None:
    resolve = at("vllm.v1.worker.gpu.model_states:resolve_model_state_cls")
    assert list(inspect.signature(resolve).parameters) == ["vllm_config", "model"]
    assert "model.get_model_state_cls()" in inspect.getsource(resolve)


def test_the_second_runners_batch_names_its_requests() -> None:
    batch = at("vllm.v1.worker.gpu.input_batch:InputBatch").__annotations__
    arrival = at("vllm.v1.core.sched.output:NewRequestData").__annotations__
    assert {
        "num_reqs",
        "idx_mapping",
        "idx_mapping_np",
        "expanded_idx_mapping",
        "num_scheduled_tokens",
        "num_tokens",
        "num_draft_tokens",
        "query_start_loc",
    } <= set(batch)
    assert {"req_id", "sampling_params"} <= set(arrival)


@pytest.mark.parametrize(
    "validator",
    [
        "vllm.v1.sample.logits_processor:validate_logits_processors_parameters",
        "vllm.v1.worker.gpu.sample.logits_processor:build_custom_logits_processors_params_validator",
    ],
)
def test_both_front_ends_refuse_a_lambda_that_cannot_be_served(validator: str) -> None:
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError

    def admit(**arguments: Any) -> None:
        parameters = SamplingParams(**arguments)
        if validator.endswith("_validator"):
            at(validator)([ADMISSION])(parameters)
        else:
            at(validator)([ADMISSION], parameters)

    for extra in (None, {LAMBDA: 0.55}, {LAMBDA: "0.55"}):
        admit(extra_args=extra)
    with pytest.raises(VLLMValidationError, match="must be a number from 0 to 1, not 'high'"):
        admit(extra_args={LAMBDA: "high"})
    with pytest.raises(VLLMValidationError, match="prompt_logprobs"):
        admit(prompt_logprobs=1)


def test_every_process_of_vllm_finds_the_loader_by_the_entry_point() -> None:
    from vllm.model_executor.model_loader import get_model_loader
    from vllm.plugins import DEFAULT_PLUGINS_GROUP

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    (target,) = project["project"]["entry-points"][DEFAULT_PLUGINS_GROUP].values()
    at(target)()
    at(target)()
    config = at("vllm.config.load:LoadConfig")(load_format=LOAD_FORMAT)
    assert type(get_model_loader(config)).__name__ == "PairLoader"


def test_every_option_and_every_word_of_a_request_is_vllms() -> None:
    from vllm import AsyncEngineArgs, SamplingParams

    options = VllmOptions(
        tensor_parallel_size=2,
        pipeline_parallel_size=2,
        data_parallel_size=2,
        executor="ray",
        gpu_memory_utilization=0.8,
        max_model_len=4096,
        enforce_eager=True,
    )
    plan = EnginePlan(kind="vllm", batch=8, vllm=options)
    bounded = EnginePlan(kind="vllm")
    for each, on_cpu in ((plan, False), (bounded, True)):
        made = engine_arguments(each, Path("a"), SPEC, on_cpu=on_cpu, trust_remote_code=False)
        assert set(made) <= set(inspect.signature(AsyncEngineArgs).parameters)
    request = Request(1, Recipe(lambda_=0.5), (1,), 0, 4)
    words = sampling_arguments(request, request.recipe, {2}, logprobs=3)
    SamplingParams(**words)


def test_the_executors_are_vllms() -> None:
    parallel = import_module("vllm.config.parallel")
    assert {"mp", "ray"} <= set(get_args(parallel.DistributedExecutorBackend))
    assert "ray" in get_args(parallel.DataParallelBackend)


def test_the_command_that_serves_an_export_is_vllms() -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    settings = {"enable_thinking": True, "reasoning_effort": 'it\'s "high"'}
    decoding = Decoding(temperature=0.7, top_k=20)
    program, action, *arguments = shlex.split(
        serve_command(Path("out of here/checkpoint"), "a tuned one", decoding, settings)
    )
    assert (program, action) == ("vllm", "serve")
    read = make_arg_parser(FlexibleArgumentParser()).parse_args(arguments)
    assert read.model_tag == "out of here/checkpoint"
    assert read.served_model_name == ["a tuned one"]
    assert read.default_chat_template_kwargs == settings
    assert read.override_generation_config == generation_defaults(decoding)


def test_a_checkpoints_own_penalties_and_limit_are_put_back(tmp_path: Path) -> None:
    from vllm.config.model import ModelConfig
    from vllm.sampling_params import SamplingParams

    stored = {"repetition_penalty": 1.05, "min_p": 0.1, "max_new_tokens": 64, "top_k": 50}
    (tmp_path / "generation_config.json").write_text(json.dumps(stored))
    decoding = Decoding(temperature=0.7, top_k=0)
    config = SimpleNamespace(
        generation_config=str(tmp_path),
        override_generation_config=generation_defaults(decoding),
        try_get_generation_config=lambda: dict(stored),
    )
    given = ModelConfig.get_diff_sampling_param(config)
    assert "max_tokens" not in given
    sampled = SamplingParams(**given)
    assert (sampled.temperature, sampled.top_p, sampled.top_k) == (0.7, 0.95, 0)
    assert (sampled.repetition_penalty, sampled.min_p) == (1.0, 0.0)
