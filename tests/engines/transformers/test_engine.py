"""The engine as the study uses it: sequences come and go, seeds decide, cancel and limits hold."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mi_tui.engines.chat import Chat
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, EngineError, Request
from mi_tui.engines.vllm.arguments import sampling_arguments
from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import engine_for, prompts, run

WARM = Decoding(temperature=1.0, top_p=0.95)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"))


def requests(count: int, lambda_: float = 0.5, most: int = 20, first: int = 0) -> list[Request]:
    recipe = Recipe(lambda_=lambda_, decoding=WARM)
    return [
        Request(first + n, recipe, prompt, seed=100 + n, max_new_tokens=most)
        for n, prompt in enumerate(prompts(count))
    ]


def test_responses_depend_neither_on_the_batch_nor_on_the_order(pair: tuple[Path, ...]) -> None:
    wanted = requests(9)
    together = run(engine_for(pair, batch=9), wanted)
    one_by_one = run(engine_for(pair, batch=1), reversed(wanted))
    a_few = run(engine_for(pair, batch=3), wanted[::2] + wanted[1::2])
    for number in range(9):
        assert together[number].tokens == one_by_one[number].tokens == a_few[number].tokens
        assert together[number].text == one_by_one[number].text


def test_seeds_make_different_samples_of_one_prompt(pair: tuple[Path, ...]) -> None:
    recipe = Recipe(lambda_=0.5, decoding=WARM)
    same_prompt = [Request(n, recipe, (5, 9, 7), seed=n, max_new_tokens=12) for n in range(6)]
    done = run(engine_for(pair), same_prompt)
    assert len({completion.tokens for completion in done.values()}) > 3


def test_counts_caps_and_reasons(pair: tuple[Path, ...]) -> None:
    done = run(engine_for(pair), requests(12, most=40))
    assert {c.finish_reason for c in done.values()} == {"stop", "length"}
    for completion in done.values():
        stopped = completion.finish_reason == "stop"
        assert completion.token_count == len(completion.tokens) + stopped <= 40
        assert stopped or completion.token_count == 40
        assert 2 not in completion.tokens
        assert completion.seconds > 0


def test_a_cap_of_one_and_sequences_added_while_running(pair: tuple[Path, ...]) -> None:
    engine = engine_for(pair, batch=4)
    engine.add(requests(3, most=30))
    done = {c.request_id for c in engine.step(0.0)}
    engine.add(requests(3, most=1, first=50))
    assert engine.pending == 6 - len(done)
    while engine.pending:
        done |= {c.request_id for c in engine.step(0.01)}
    assert done == {0, 1, 2, 50, 51, 52}


def test_cancel_queued_running_and_unknown(pair: tuple[Path, ...]) -> None:
    engine = engine_for(pair, batch=2)
    wanted = requests(6, most=30)
    untouched = run(engine_for(pair, batch=2), wanted)
    engine.add(wanted)
    done = {c.request_id: c for c in engine.step(0.0)}
    engine.cancel([0, 5, 999])
    while engine.pending:
        done |= {c.request_id: c for c in engine.step(0.1)}
    assert set(done) | {0} == {0, 1, 2, 3, 4}
    for number in {1, 2, 3, 4}:
        assert done[number].tokens == untouched[number].tokens


def test_sequences_that_give_way_go_on_where_they_were(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mi_tui.engines.transformers.decoding.decoder import Decoder

    wanted = requests(8, most=40)
    undisturbed = run(engine_for(pair, batch=8), wanted)
    real, calls = Decoder.step, [0]

    def sometimes_full(self: Decoder) -> None:
        calls[0] += 1
        if calls[0] in (5, 9):
            raise MemoryError
        real(self)

    monkeypatch.setattr(Decoder, "step", sometimes_full)
    disturbed = run(engine_for(pair, batch=8), wanted)
    assert calls[0] > 9
    assert {n: c.tokens for n, c in disturbed.items()} == {
        n: c.tokens for n, c in undisturbed.items()
    }


def test_a_halved_batch_grows_back(pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    from mi_tui.engines.transformers import scheduler
    from mi_tui.engines.transformers.decoding.decoder import Decoder

    monkeypatch.setattr(scheduler, "_GROW_BACK_AFTER", 6)
    real, capacities = Decoder.step, []

    def once_full(self: Decoder) -> None:
        capacities.append(self.capacity)
        if len(capacities) == 3:
            raise MemoryError
        real(self)

    monkeypatch.setattr(Decoder, "step", once_full)
    run(engine_for(pair, batch=8), requests(16, most=30))
    assert capacities[:4] == [8, 8, 8, 4]
    assert capacities[-1] == 8
    assert capacities == [8] * 3 + [4] * capacities.count(4) + [8] * (capacities.count(8) - 3)


def test_out_of_memory_with_one_sequence_is_an_error_with_advice(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mi_tui.engines.transformers.decoding.decoder import Decoder

    def full(_: Decoder) -> None:
        raise MemoryError

    engine = engine_for(pair, batch=4)
    monkeypatch.setattr(Decoder, "step", full)
    engine.add(requests(4))
    with pytest.raises(EngineError, match="lower max_new_tokens"):
        engine.step(5.0)


def test_baselines_need_a_base(pair: tuple[Path, ...]) -> None:
    engine = engine_for(pair)
    baseline = Recipe(method="task-arithmetic", scale=0.7)
    with pytest.raises(EngineError, match="base"):
        engine.add([*requests(2), Request(9, baseline, (5,), 0, 4)])
    assert engine.pending == 0


def test_every_end_token_that_anyone_names_ends_a_response(
    pair: tuple[Path, ...], tmp_path: Path
) -> None:
    instruct, donor = tmp_path / "instruct", tmp_path / "thinking"
    shutil.copytree(pair[0], instruct)
    shutil.copytree(pair[1], donor)
    config = donor / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": [11, 12]}))
    ends = Chat(donor).end_tokens(None)
    assert ends == {2, 11, 12}, "the tokenizer's own end, too"
    asked = [replace(one, id=n, seed=n) for n, one in enumerate(requests(9, most=60) * 4)]
    # vLLM is told the same.
    assert sampling_arguments(asked[0], asked[0].recipe, ends)["stop_token_ids"] == [2, 11, 12]
    before, after = run(engine_for(pair), asked), run(engine_for((instruct, donor)), asked)
    assert not ends & {token for one in after.values() for token in one.tokens}
    earlier = 0
    for number, one in after.items():
        # The same tokens up to the first end token of any kind.
        assert before[number].tokens[: len(one.tokens)] == one.tokens
        behind = before[number].tokens[len(one.tokens) :]
        earlier += bool(behind) and one.finish_reason == "stop"
        assert not behind or behind[0] in ends
    assert earlier > 5


def test_the_donor_renders_the_prompt(pair: tuple[Path, ...]) -> None:
    engine = engine_for(pair)
    text = engine.render([{"role": "user", "content": "one two"}])
    assert text == "<|user|> one two <|assistant|> <think>"
    assert engine.encode(text) == (5, 7, 8, 6, 3)


def test_settings_of_the_preset_reach_the_template(pair: tuple[Path, ...], tmp_path: Path) -> None:
    instruct, donor = tmp_path / "instruct", tmp_path / "thinking"
    shutil.copytree(pair[0], instruct)
    shutil.copytree(pair[1], donor)
    template = (
        "{% for m in messages %}<|user|> {{ m['content'] }} {% endfor %}<|assistant|>"
        "{% if enable_thinking %} <think>{% endif %} {{ reasoning_effort | default('none') }}"
    )
    (donor / "chat_template.jinja").write_text(template)
    plan = EnginePlan(device="cpu", dtype="float32", threads=1)
    asked = [{"role": "user", "content": "one"}]

    def rendered(**settings: Any) -> str:
        sides = Pair(instruct=str(instruct), thinking=str(donor), chat_template_kwargs=settings)
        return open_engine(plan, sides).render(asked)

    assert rendered() == "<|user|> one <|assistant|> none"
    assert rendered(enable_thinking=True) == "<|user|> one <|assistant|> <think> none"
    assert rendered(reasoning_effort="high") == "<|user|> one <|assistant|> high"


def test_bad_pairs_and_devices_are_one_line(pair: tuple[Path, ...], tmp_path: Path) -> None:
    other = tiny_pair("llama", tmp_path)
    mixed = Pair(instruct=str(pair[0]), thinking=str(other[1]))
    missing = Pair(instruct=str(tmp_path / "nowhere"), thinking=str(pair[1]))
    good = Pair(instruct=str(pair[0]), thinking=str(pair[1]))
    for plan, bad in (
        (EnginePlan(device="cpu"), mixed),
        (EnginePlan(device="cpu"), missing),
        (EnginePlan(device="cuda:77"), good),
    ):
        with pytest.raises(MiTuiError) as caught:
            open_engine(plan, bad)
        assert "\n" not in str(caught.value)


def test_self_check_and_calibration(pair: tuple[Path, ...]) -> None:
    engine = engine_for(pair)
    check = engine.self_check()
    assert check.passed
    assert "equal" in check.message
    points = engine.calibrate((1, 3))
    assert [p.concurrency for p in points] == [1, 3]
    assert all(p.time_to_first_token > 0 and p.time_per_output_token > 0 for p in points)


def nine_recipes(each: int, most: int = 16) -> list[Request]:
    return [
        Request(
            100 * at + n,
            Recipe(lambda_=at / 8, decoding=WARM),
            prompt,
            seed=n,
            max_new_tokens=most + 5 * (n % 3),
        )
        for at in range(9)
        for n, prompt in enumerate(prompts(each))
    ]


def test_every_way_gives_the_same_samples(pair: tuple[Path, ...]) -> None:
    wanted = nine_recipes(3)
    in_place = run(engine_for(pair, "in-place", batch=16), wanted)
    one_pass = run(engine_for(pair, "one-pass", batch=16), wanted)
    either = run(engine_for(pair, "auto", batch=16), wanted)
    for number, completion in in_place.items():
        assert completion.tokens == one_pass[number].tokens == either[number].tokens


def test_the_strategy_may_change_while_sequences_run(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mi_tui.engines.transformers.weights.strategy import Strategies

    wanted = nine_recipes(3, most=25)
    expected = run(engine_for(pair, "in-place", batch=16), wanted)
    asked = []

    def alternate(self: Strategies, *_: object) -> str:
        asked.append(1)
        return "one-pass" if len(asked) % 2 else "in-place"

    monkeypatch.setattr(Strategies, "choose", alternate)
    engine = engine_for(pair, "auto", batch=16)
    done: dict[int, Completion] = {}
    for at in range(0, len(wanted), 4):
        engine.add(wanted[at : at + 4])
        done |= {c.request_id: c for c in engine.step(0.0)}
    while engine.pending:
        done |= {c.request_id: c for c in engine.step(0.1)}
    assert len(asked) > 4
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in expected.items()}


def test_stragglers_give_way_and_finish_later(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mi_tui.engines.transformers.scheduler import Scheduler
    from mi_tui.engines.transformers.weights.strategy import Strategies

    wanted = [
        replace(r, max_new_tokens=60 if r.id % 100 == 0 else 6, recipe=r.recipe)
        for r in nine_recipes(16)[:64]
    ]
    expected = run(engine_for(pair, "one-pass", batch=64), wanted)
    strategy = "in-place"
    monkeypatch.setattr(
        Strategies,
        "choose",
        lambda _, work, *__: strategy if max(work.sequences.values()) > 2 else "one-pass",
    )
    monkeypatch.setattr(Strategies, "parking_pays", lambda *_: True)
    parked: list[int] = []
    real = Scheduler._park_stragglers

    def watch(self: Scheduler) -> None:
        real(self)
        parked.extend(sequence.request.id for sequence in self._queue if sequence.parked)

    monkeypatch.setattr(Scheduler, "_park_stragglers", watch)
    done = run(engine_for(pair, "auto", batch=17), wanted)
    assert parked
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in expected.items()}


def test_one_pass_that_fails_its_check_is_given_up(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mi_tui.engines.transformers.model.mixed_layers import MixedEmbedding

    engine = engine_for(pair, "auto")
    assert engine.capabilities.mixes_recipes
    real = MixedEmbedding.forward
    monkeypatch.setattr(MixedEmbedding, "forward", lambda self, ids: real(self, ids).flip(-1))
    assert engine.self_check().passed
    assert not engine.capabilities.mixes_recipes
    assert "differ" in engine.capabilities.note
    assert len(run(engine, nine_recipes(1))) == 9


def test_a_fused_pass_that_fails_its_check_gives_way_to_the_models_own(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mi_tui.engines.transformers.model.fused_forward import FusedForward

    wanted = nine_recipes(1)
    expected = run(engine_for(pair, "one-pass"), wanted)
    engine = engine_for(pair, "one-pass")
    real = FusedForward.__call__
    calls = []

    def wrong(self: FusedForward, *args: Any) -> Any:
        calls.append(1)
        return real(self, *args).flip(-1)

    monkeypatch.setattr(FusedForward, "__call__", wrong)
    assert engine.self_check().passed
    assert calls
    calls.clear()
    assert engine.capabilities.mixes_recipes
    done = run(engine, wanted)
    assert not calls
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in expected.items()}


def test_a_module_that_cannot_be_mixed_means_in_place(
    pair: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import nn

    blind = SimpleNamespace(Module=nn.Module, Linear=nn.Conv2d, Embedding=nn.Embedding)
    monkeypatch.setattr("mi_tui.engines.transformers.model.mixing_rule.nn", blind)
    engine = engine_for(pair, "auto")
    assert not engine.capabilities.mixes_recipes
    assert "cannot mix" in engine.capabilities.note
