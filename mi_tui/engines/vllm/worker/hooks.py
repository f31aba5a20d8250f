"""Hooks into vLLM's model runners that fill λ's buffers before each step."""

import functools
from typing import Any

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.spec import RECIPE


def install_hooks(runner: Any, lambdas: LambdaBuffers) -> None:
    """Fill λ's buffers before each step, in either of vLLM's model runners."""
    if hasattr(runner, "req_states"):
        _hook_second_runner(runner, lambdas)
    else:
        _hook_first_runner(runner, lambdas)


def _hook_first_runner(runner: Any, lambdas: LambdaBuffers) -> None:
    """The runner of vLLM's V1 engine; it reorders its batch before it prepares the inputs."""
    prepare = runner._prepare_inputs

    @functools.wraps(prepare)
    def prepare_with_lambdas(scheduled: Any, *args: Any, **kwargs: Any) -> Any:
        ids = runner.input_batch.req_ids
        recipes = [_number(lambdas, runner.requests[i].sampling_params) for i in ids]
        lambdas.fill(recipes, [scheduled.num_scheduled_tokens[i] for i in ids])
        return prepare(scheduled, *args, **kwargs)

    runner._prepare_inputs = prepare_with_lambdas


def _hook_second_runner(runner: Any, lambdas: LambdaBuffers) -> None:
    """vLLM's second model runner: requests are told once, batches name them by id."""
    recipes: dict[str, int] = {}
    prepare, add, remove = runner.prepare_inputs, runner.add_requests, runner._remove_request

    @functools.wraps(add)
    def add_with_recipes(scheduled: Any) -> None:
        add(scheduled)
        for request in scheduled.scheduled_new_reqs:
            recipes[request.req_id] = _number(lambdas, request.sampling_params)

    @functools.wraps(remove)
    def remove_with_recipe(request_id: str) -> Any:
        recipes.pop(request_id, None)
        return remove(request_id)

    @functools.wraps(prepare)
    def prepare_with_lambdas(*args: Any, **kwargs: Any) -> Any:
        batch = prepare(*args, **kwargs)
        numbers = [recipes[i] for i in batch.req_ids]
        lambdas.fill(numbers, batch.num_scheduled_tokens.tolist())
        return batch

    runner.add_requests = add_with_recipes
    runner._remove_request = remove_with_recipe
    runner.prepare_inputs = prepare_with_lambdas


def _number(lambdas: LambdaBuffers, sampling: Any) -> int:
    return lambdas.number(sampling.extra_args[RECIPE])
