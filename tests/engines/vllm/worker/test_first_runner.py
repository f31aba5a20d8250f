"""λ of each row in the order of the batch, in the shape of vLLM's first runner."""

from types import SimpleNamespace
from typing import Any

import torch

from mi_tui.engines.vllm.worker.first_runner import follow_requests
from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.recipe_table import RecipeTable
from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind

PLACE = (0, ModuleKind.FFN)


def sampling(lambda_: float) -> SimpleNamespace:
    return SimpleNamespace(extra_args={LAMBDA: lambda_})


def buffers() -> LambdaBuffers:
    table = RecipeTable([PLACE], 4, Recipe(lambda_=0.0), torch.device("cpu"))
    return LambdaBuffers([PLACE], table, most_tokens=16, most_logits=4)


def held(lambdas: LambdaBuffers, tokens: int, logits: int) -> tuple[list[float], list[float]]:
    column = lambdas.column(PLACE)
    return column.tokens[:tokens, 0].tolist(), column.logits[:logits, 0].tolist()


def runner_class() -> Any:
    """A class of its own for each test: it is changed."""

    class Runner:
        device = torch.device("meta")

        def __init__(self, model: object, **lambdas: float) -> None:
            self._model = model
            self.requests: dict[str, Any] = {}
            self.input_batch = SimpleNamespace(req_ids=[])
            self.arrive(**lambdas)

        def arrive(self, **lambdas: float) -> None:
            for name, lambda_ in lambdas.items():
                self.requests[name] = SimpleNamespace(sampling_params=sampling(lambda_))

        def get_model(self) -> object:
            return self._model

        def _prepare_inputs(self, scheduled: Any, counts: Any) -> Any:
            return "prepared", counts

    return Runner


def step(runner: Any, new: tuple[str, ...] = (), **counts: int) -> Any:
    runner.input_batch.req_ids = list(counts)
    arrivals = [SimpleNamespace(req_id=name) for name in new]
    scheduled = SimpleNamespace(num_scheduled_tokens=counts, scheduled_new_reqs=arrivals)
    return runner._prepare_inputs(scheduled, list(counts.values()))


def ours(lambdas: LambdaBuffers | None) -> SimpleNamespace:
    return SimpleNamespace(mi_tui=SimpleNamespace(lambdas=lambdas))


def test_requests_are_read_in_the_order_of_the_batch() -> None:
    kind, lambdas = runner_class(), buffers()
    follow_requests(kind)
    runner = kind(ours(lambdas), a=0.25, b=0.5)
    assert step(runner, ("a", "b"), b=1, a=3) == ("prepared", [1, 3])
    assert held(lambdas, 4, 2) == ([0.5, 0.25, 0.25, 0.25], [0.5, 0.25])


def test_an_id_may_come_again_with_another_lambda() -> None:
    kind, lambdas = runner_class(), buffers()
    follow_requests(kind)
    runner = kind(ours(lambdas), a=0.25)
    step(runner, ("a",), a=2)
    runner.arrive(a=1.0)
    step(runner, ("a",), a=2)
    assert held(lambdas, 2, 1) == ([1.0, 1.0], [1.0])


def test_a_second_call_wraps_nothing_and_other_models_are_left_alone() -> None:
    kind = runner_class()
    follow_requests(kind)
    wrapped = kind._prepare_inputs
    follow_requests(kind)
    assert kind._prepare_inputs is wrapped
    assert step(kind(object(), a=0.5), a=2) == ("prepared", [2])
    assert step(kind(ours(None), a=0.5), a=2) == ("prepared", [2])
