"""λ of each row in the order of the runner's batch, in the shapes of both of vLLM's runners."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mi_tui.engines.vllm.worker.hooks import install_hooks
from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.spec import RECIPE
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind

PLACE = (0, ModuleKind.FFN)


def sampling(lambda_: float) -> SimpleNamespace:
    return SimpleNamespace(extra_args={RECIPE: Recipe(lambda_=lambda_).canonical_json()})


def buffers() -> LambdaBuffers:
    return LambdaBuffers([PLACE], most_tokens=16, most_requests=4, device=torch.device("cpu"))


def held(lambdas: LambdaBuffers, tokens: int, requests: int) -> tuple[list[float], list[float]]:
    column = lambdas.column(PLACE)
    return column.tokens[:tokens, 0].tolist(), column.requests[:requests, 0].tolist()


def test_the_first_runner_is_read_in_the_order_of_its_batch() -> None:
    runner: Any = SimpleNamespace(
        input_batch=SimpleNamespace(req_ids=["b", "a"]),
        requests={
            "a": SimpleNamespace(sampling_params=sampling(0.25)),
            "b": SimpleNamespace(sampling_params=sampling(0.5)),
        },
        _prepare_inputs=lambda scheduled, counts: ("prepared", counts),
    )
    lambdas = buffers()
    install_hooks(runner, lambdas)
    scheduled = SimpleNamespace(num_scheduled_tokens={"a": 3, "b": 1})
    assert runner._prepare_inputs(scheduled, [1, 3]) == ("prepared", [1, 3])
    assert held(lambdas, 4, 2) == ([0.5, 0.25, 0.25, 0.25], [0.5, 0.25])


class SecondRunner:
    """As vLLM's: adding forgets first, and the batch comes in an order of its own."""

    def __init__(self) -> None:
        self.req_states = self
        self.known: set[str] = set()

    def add_requests(self, scheduled: Any) -> None:
        for request in scheduled.scheduled_new_reqs:
            self._remove_request(request.req_id)
            self.known.add(request.req_id)

    def _remove_request(self, request_id: str) -> bool:
        gone = request_id in self.known
        self.known.discard(request_id)
        return gone

    def prepare_inputs(self, scheduled: Any, *_: Any) -> Any:
        ids = sorted(scheduled.num_scheduled_tokens, reverse=True)
        counts = np.array([scheduled.num_scheduled_tokens[i] for i in ids], dtype=np.int32)
        return SimpleNamespace(req_ids=ids, num_scheduled_tokens=counts)


def arrival(**lambdas: float) -> SimpleNamespace:
    new = [
        SimpleNamespace(req_id=name, sampling_params=sampling(lambda_))
        for name, lambda_ in lambdas.items()
    ]
    return SimpleNamespace(scheduled_new_reqs=new)


def test_the_second_runner_tells_requests_once_and_names_them_after() -> None:
    runner: Any = SecondRunner()
    lambdas = buffers()
    install_hooks(runner, lambdas)
    runner.add_requests(arrival(a=0.25, b=0.5))
    runner.prepare_inputs(SimpleNamespace(num_scheduled_tokens={"a": 2, "b": 1}))
    assert held(lambdas, 3, 2) == ([0.5, 0.25, 0.25], [0.5, 0.25])
    assert runner._remove_request("a")
    runner.add_requests(arrival(a=1.0))  # an id may come again
    runner.prepare_inputs(SimpleNamespace(num_scheduled_tokens={"a": 1, "b": 1}))
    assert held(lambdas, 2, 2) == ([0.5, 1.0], [0.5, 1.0])


def test_a_forgotten_request_has_no_lambda() -> None:
    runner: Any = SecondRunner()
    install_hooks(runner, buffers())
    runner.add_requests(arrival(a=0.25))
    runner._remove_request("a")
    with pytest.raises(KeyError):
        runner.prepare_inputs(SimpleNamespace(num_scheduled_tokens={"a": 1}))
