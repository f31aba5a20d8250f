"""The engine that is chosen, with one sentence why."""

from dataclasses import replace

import pytest

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.choice import LONG, EngineChoice, choose_engine
from mi_tui.engines.vllm import mixable
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from tests.engines.memory.machines import A100S, H100, QWEN_4B, QWEN_30B_A3B, RTX_4090, machine

AIME = 81_920


def chosen(
    model: CheckpointInfo = QWEN_4B,
    what: Machine = H100,
    cap: int | None = AIME,
    *,
    installed: bool = True,
    plan: EnginePlan | None = None,
) -> EngineChoice:
    return choose_engine(plan or EnginePlan(), model, model, what, cap=cap, installed=installed)


@pytest.mark.parametrize("what", [H100, A100S, RTX_4090])
def test_long_responses_on_a_gpu_go_to_vllm(what: Machine) -> None:
    found = chosen(what=what)
    assert (found.kind, found.chosen, found.plan.kind) == ("vllm", True, "vllm")
    assert found.sentence == (
        "vLLM, chosen: a GPU is there, vLLM runs this pair, and responses may have 81,920 tokens"
    )
    assert found.memory.fits


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda: chosen(cap=LONG), "responses of up to 4,096 tokens do not need vLLM"),
        (lambda: chosen(cap=None), "responses of up to 4,096 tokens do not need vLLM"),
        (lambda: chosen(what=machine()), "no GPU found"),
        (
            lambda: chosen(what=replace(machine(), gpu_problem="1 × card, not used by torch")),
            "1 × card, not used by torch",
        ),
        (lambda: chosen(installed=False), 'is not installed: pip install "mi-tui[vllm]"'),
        (lambda: chosen(plan=EnginePlan(device="cuda:1"), what=A100S), "device cuda:1 was asked"),
        (lambda: chosen(replace(QWEN_4B, dequantised="mxfp4")), "vLLM does not fit (x is mxfp4"),
        (
            lambda: chosen(QWEN_30B_A3B, RTX_4090),
            "vLLM does not fit (vLLM, λ in place, needs 56.9 GiB on the GPU beside its KV cache,"
            " and takes 21.6 GiB)",
        ),
        (lambda: chosen(what=RTX_4090, cap=100_000), "a response of 100,000 tokens takes"),
    ],
)
def test_else_transformers_runs_it_and_says_why(found: object, why: str) -> None:
    assert callable(found)
    choice = found()
    assert isinstance(choice, EngineChoice)
    assert (choice.kind, choice.chosen, choice.plan.kind) == ("transformers", True, "transformers")
    assert why in choice.why
    assert "\n" not in choice.sentence


def test_a_model_that_vllm_does_not_know_stays_with_transformers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mixable, "_registry_text", lambda: '"LlamaForCausalLM": ("llama",')
    found = chosen()
    assert (found.kind, found.why) == ("transformers", "vLLM has no model for Qwen3ForCausalLM")
    llama = replace(QWEN_4B, config={**QWEN_4B.config, "architectures": ["LlamaForCausalLM"]})
    assert chosen(llama).kind == "vllm"


@pytest.mark.parametrize("kind", ["transformers", "vllm"])
def test_what_is_asked_for_is_not_chosen(kind: str) -> None:
    plan = EnginePlan.model_validate({"kind": kind})
    for what in (H100, machine()):
        found = chosen(what=what, plan=plan, cap=100, installed=False)
        assert (found.kind, found.chosen, found.why) == (kind, False, "as asked")
        assert "chosen" not in found.sentence


def test_in_few_words() -> None:
    assert chosen(what=A100S).brief == ("vLLM, one pass × 4; 4 responses of 81,920 tokens at once")
    long = chosen(what=machine(host=100), cap=10_000_000)
    assert long.brief.startswith("transformers does not fit: a response of 10,000,000 tokens")
    data = chosen(what=A100S).as_json()
    assert data["kind"] == "vllm"
    assert data["memory"]["copies"] == 4
    assert data["memory"]["responses_at_once"] == 4
