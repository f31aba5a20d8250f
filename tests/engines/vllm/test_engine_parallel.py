"""Several ranks, several copies, compiled code: the same responses."""

import pytest

from mi_tui.engines.open import open_engine
from mi_tui.plan.engine import EnginePlan, VllmOptions
from tests.engines.vllm.conftest import DEMO
from tests.engines.vllm.test_engine_demo_pair import LAMBDAS, SCOPES, assert_merged

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]


@pytest.mark.parametrize(
    "options",
    [
        VllmOptions(tensor_parallel_size=2),
        VllmOptions(data_parallel_size=2),
        VllmOptions(pipeline_parallel_size=2, enforce_eager=False),  # vLLM's eager CPU runner fails
        VllmOptions(enforce_eager=False),
    ],
    ids=["two tensor ranks", "two copies", "two compiled pipeline ranks", "compiled"],
)
def test_responses_are_those_of_the_merged_models(options: VllmOptions) -> None:
    plan = EnginePlan(kind="vllm", threads=1, batch=32, vllm=options)
    engine = open_engine(plan, DEMO)
    try:
        assert engine.capabilities.mixes_recipes
        assert_merged(engine, LAMBDAS + SCOPES)
    finally:
        engine.close()


@pytest.mark.parametrize(
    "options",
    [VllmOptions(data_parallel_size=2), VllmOptions(enforce_eager=False)],
    ids=["two copies", "another vLLM with the plain model"],
)
def test_the_speed_of_the_plain_model_is_timed_and_the_pair_mixed_again(
    options: VllmOptions,
) -> None:
    engine = open_engine(EnginePlan(kind="vllm", threads=1, batch=32, vllm=options), DEMO)
    try:
        (point,) = engine.calibrate((2,))
        assert point.time_to_first_token > 0
        assert point.time_per_output_token > 0
        assert engine.capabilities.mixes_recipes
        assert_merged(engine, LAMBDAS[:2], most=8)
    finally:
        engine.close()
