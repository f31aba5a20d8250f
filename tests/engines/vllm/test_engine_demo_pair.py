"""The bundled pair in a real vLLM: every response is that of its merged checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, Engine, EngineError, Request
from mi_tui.engines.vllm.instance import Instance
from mi_tui.engines.vllm.response import Response
from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.recipe import Decoding, LambdaRule, Recipe
from mi_tui.plan.scope import LayerRange, ModuleKind, Scope
from tests.engines.support import END, GREEDY, generated, merged_model, run, with_end
from tests.engines.vllm.conftest import DEMO

if TYPE_CHECKING:  # importing it imports vLLM
    from mi_tui.engines.vllm.client import Client

pytestmark = pytest.mark.slow

PAIR = tuple(demo_pair_folder() / side for side in ("instruct", "thinking"))
LAMBDAS = tuple(Recipe(lambda_=at, decoding=GREEDY) for at in (0.0, 0.3, 0.55, 1.0))
SCOPES = (
    Recipe(lambda_=0.8, scope=Scope(layers=(LayerRange(first=2, last=3),)), decoding=GREEDY),
    Recipe(lambda_=0.9, scope=Scope(modules=(ModuleKind.FFN,)), decoding=GREEDY),
    Recipe(
        lambda_=0.6,
        scope=Scope(layers=(LayerRange(first=1, last=2),), outside="thinking"),
        rules=(LambdaRule(lambda_=0.1, modules=(ModuleKind.ATTENTION,)),),
        decoding=GREEDY,
    ),
)
PROBLEMS = ("47*6+5-8", "3+4", "81-9*7+2", "5*5", "12+7*3-4", "90-2-3-4-5")


def prompts(engine: Engine) -> list[tuple[int, ...]]:
    texts = [f"Compute {problem} mod 100" for problem in PROBLEMS]
    return [engine.encode(engine.render([{"role": "user", "content": t}])) for t in texts]


def requests(engine: Engine, recipes: tuple[Recipe, ...], most: int = 64) -> list[Request]:
    pairs = [(recipe, prompt) for prompt in prompts(engine) for recipe in recipes]
    return [Request(at, recipe, prompt, 0, most) for at, (recipe, prompt) in enumerate(pairs)]


def assert_merged(engine: Engine, recipes: tuple[Recipe, ...], most: int = 64) -> None:
    """Every response of one mixed batch is that of its merged model in plain transformers."""
    asked = requests(engine, recipes, most)
    done = run(engine, asked)
    for recipe in recipes:
        model = merged_model(PAIR, recipe)
        for request in asked:
            if request.recipe == recipe:
                expected = generated(model, request.prompt, most)
                assert with_end(done[request.id]) == expected, recipe.label


def test_lambdas_and_scopes_in_one_batch(demo: Engine) -> None:
    assert demo.capabilities.mixes_recipes
    assert_merged(demo, LAMBDAS + SCOPES)


def test_requests_name_a_number_or_nothing_and_nonsense_is_refused_before_it_runs(
    demo: Engine,
) -> None:
    client: Client = vars(demo)["_instance"].client
    (prompt, *_) = prompts(demo)
    plain = {"temperature": 0.0, "max_tokens": 24, "stop_token_ids": [END], "detokenize": False}
    asked = {1: 0.55, 2: "0.55", 3: 1, 4: None}
    for number, lambda_ in asked.items():
        extra = None if lambda_ is None else {LAMBDA: lambda_}
        client.submit(number, prompt, f"salt/{lambda_}", {**plain, "extra_args": extra})
    done: dict[int, list[int]] = {}
    while client.running:
        done.update((response.id, list(response.tokens)) for response in client.collect(1.0))
    for number, served in ((1, 141 / 256), (2, 141 / 256), (3, 1.0), (4, 0.0)):
        model = merged_model(PAIR, Recipe(lambda_=served))
        assert done[number] == generated(model, prompt, 24), number
    client.submit(5, prompt, "salt", {**plain, "extra_args": {LAMBDA: "high"}})
    with pytest.raises(EngineError, match="must be a number from 0 to 1, not 'high'"):
        client.collect(10.0)
    client.abort({5})
    assert_merged(demo, LAMBDAS[1:2], 8)


def test_the_self_check_passes(demo: Engine) -> None:
    check = demo.self_check()
    assert check.passed, check.message
    assert_merged(demo, LAMBDAS)


def test_texts_counts_and_caps(demo: Engine) -> None:
    (prompt, *_) = prompts(demo)
    done = run(demo, [Request(1, LAMBDAS[3], prompt, 0, 12), Request(2, LAMBDAS[0], prompt, 0, 64)])
    cut, whole = done[1], done[2]
    assert (cut.finish_reason, cut.token_count, len(cut.tokens)) == ("length", 12, 12)
    assert cut.text.startswith("<think>")
    assert whole.finish_reason == "stop"
    assert whole.token_count == len(whole.tokens) + 1
    assert whole.text.startswith("\\boxed{")
    assert whole.text.endswith("}")
    assert 0 < cut.seconds < 60


def test_a_seed_decides_a_response_whatever_else_is_in_the_batch(demo: Engine) -> None:
    recipe = Recipe(lambda_=0.7, decoding=Decoding(temperature=2.0, top_p=0.99))
    (prompt, *others) = prompts(demo)
    seeds = [(1 << 63) - 1, 5, 5, 6, 7, 8, 9]
    alone = run(demo, [Request(at, recipe, prompt, seed, 80) for at, seed in enumerate(seeds)])
    crowd = [Request(100 + at, LAMBDAS[at % 4], other, at, 80) for at, other in enumerate(others)]
    mixed = run(
        demo, [*crowd, *[Request(at, recipe, prompt, seed, 80) for at, seed in enumerate(seeds)]]
    )
    assert alone[1].tokens == alone[2].tokens
    assert len({completion.tokens for completion in alone.values()}) > 3
    assert [mixed[at].tokens for at in alone] == [alone[at].tokens for at in alone]


def test_a_seed_decides_a_response_whose_prompt_is_read_in_parts(demo: Engine) -> None:
    recipe = Recipe(lambda_=0.7, decoding=Decoding(temperature=1.5, top_p=1.0))
    long = [prompt * (800 // len(prompt)) for prompt in prompts(demo)]  # a step reads 2,048 tokens
    asked = [Request(at, recipe, prompt, at, 20) for at, prompt in enumerate(long)]
    alone = [run(demo, [request])[request.id].tokens for request in asked]
    elsewhere = [Request(100 + r.id, LAMBDAS[1], r.prompt[1:], 0, 20) for r in asked]
    together = run(demo, [*elsewhere, *asked])
    assert [together[request.id].tokens for request in asked] == alone


def test_top_k_1_is_greedy(demo: Engine) -> None:
    one = Recipe(lambda_=0.3, decoding=Decoding(temperature=1.0, top_k=1))
    (prompt, *_) = prompts(demo)
    done = run(demo, [Request(1, one, prompt, 3, 40), Request(2, LAMBDAS[1], prompt, 4, 40)])
    assert done[1].tokens == done[2].tokens


def test_cached_prompts_are_shared_within_a_recipe_and_never_across(demo: Engine) -> None:
    instance: Instance = vars(demo)["_instance"]
    long = prompts(demo)[0] * 20  # longer than a block of the cache
    recipes = (LAMBDAS[1], LAMBDAS[3], LAMBDAS[1], LAMBDAS[3])
    cached, made = [], []
    for at, recipe in enumerate(recipes):
        instance.add([Request(at, recipe, long, 0, 24)])
        while instance.pending:
            for _, response in instance.step(1.0):
                cached.append(response.cached)
                made.append(list(response.tokens))
    assert cached[:2] == [0, 0]
    assert cached[2] == cached[3] > 0
    assert made[:2] == made[2:]
    for tokens, recipe in zip(made, recipes, strict=True):
        assert tokens == generated(merged_model(PAIR, recipe), long, 24)


def test_the_samples_of_one_recipe_read_their_prompt_once(demo: Engine) -> None:
    instance: Instance = vars(demo)["_instance"]
    long = prompts(demo)[1] * 40
    whole_blocks = (len(long) - 1) // instance.client.cache.block * instance.client.cache.block
    assert whole_blocks > 0
    sampled = Recipe(lambda_=0.45, decoding=Decoding(temperature=0.8, top_p=1.0))
    other = Recipe(lambda_=0.85, scope=Scope(modules=(ModuleKind.FFN,)), decoding=GREEDY)
    samples = 5
    asked = [
        Request(samples * kind + at, recipe, long, at, 16)
        for kind, recipe in enumerate((sampled, other))
        for at in range(samples)
    ]
    instance.add(asked)
    done: dict[int, Response] = {}
    while instance.pending:
        done.update((response.id, response) for _, response in instance.step(1.0))
    for kind in range(2):
        cached = [done[samples * kind + at].cached for at in range(samples)]
        assert sorted(cached) == [0, *[whole_blocks] * (samples - 1)]
    expected = generated(merged_model(PAIR, other), long, 16)
    assert [list(done[samples + at].tokens) for at in range(samples)] == [expected] * samples


def test_requests_come_and_go_while_others_run(demo: Engine) -> None:
    endless = Recipe(lambda_=1.0, decoding=GREEDY)
    first, second, third = prompts(demo)[:3]
    demo.add([Request(1, endless, first, 0, 220), Request(2, endless, second, 0, 220)])
    demo.step(0.02)
    demo.add([Request(3, LAMBDAS[0], third, 0, 20)])
    demo.cancel([1, 77])
    assert demo.pending == 2
    done: dict[int, Completion] = {}
    while demo.pending:
        done |= {completion.request_id: completion for completion in demo.step(0.2)}
    assert set(done) == {2, 3}
    assert with_end(done[2]) == generated(merged_model(PAIR, endless), second, 220)
    assert demo.step(5.0) == []


def test_a_response_that_cannot_fit_is_refused_before_anything_runs(demo: Engine) -> None:
    (prompt, *_) = prompts(demo)
    with pytest.raises(Exception, match=r"room for 1024: raise engine\.vllm\.max_model_len"):
        demo.add([Request(1, LAMBDAS[0], prompt, 0, 8), Request(2, LAMBDAS[0], prompt, 0, 5000)])
    assert demo.pending == 0


def test_baselines_and_exported_weights_take_turns_with_one_pass(demo: Engine) -> None:
    task = Recipe(method="task-arithmetic", scale=0.5, decoding=GREEDY)
    plain = open_engine(EnginePlan(device="cpu", dtype="float32", threads=1, mode="in-place"), DEMO)
    asked = requests(demo, (task, LAMBDAS[1]))
    rounded = [
        Request(100 + r.id, r.recipe, r.prompt, 0, 64, as_exported=True)
        for r in asked
        if r.recipe == LAMBDAS[1]
    ]
    expected = run(plain, [*asked, *rounded])
    done = run(demo, [*asked, *rounded])
    assert {at: done[at].tokens for at in done} == {at: expected[at].tokens for at in expected}
    assert_merged(demo, LAMBDAS)


def test_speed_is_timed_at_several_contexts_that_are_not_read_while_timed(
    demo: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Client = vars(demo)["_instance"].client
    collect = client.collect
    timed: list[Response] = []

    def watch(seconds: float) -> list[Response]:
        found = collect(seconds)
        timed.extend(found)
        return found

    monkeypatch.setattr(client, "collect", watch)
    one, four = demo.calibrate((1, 4))
    assert (one.concurrency, four.concurrency) == (1, 4)
    for point in (one, four):
        assert point.time_to_first_token > 0
        assert point.time_per_output_token > 0
        assert point.time_per_context_token >= 0
    # For each context, a first run that reads it and three that find all of it in the cache.
    runs = [0] * 4, [0, *[256] * 3], [0, *[896] * 3]
    cached = [response.cached for response in timed]
    assert cached[:12] == [tokens for run in runs for tokens in run]
    assert cached[12:] == [tokens for run in runs for tokens in run for _ in range(4)]


def test_in_place_on_tied_heads(needs_vllm: None, tmp_path: Path) -> None:
    engine = open_engine(EnginePlan(kind="vllm", mode="in-place", threads=1, batch=32), DEMO)
    try:
        assert not engine.capabilities.mixes_recipes
        check = engine.self_check()
        assert check.passed, check.message
        assert_merged(engine, (*LAMBDAS, SCOPES[1]))
    finally:
        engine.close()
