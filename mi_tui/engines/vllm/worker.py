"""What vLLM's worker processes learn in addition: λ per request, and merges in place.

Given to vLLM as ``worker_extension_cls``. Importing this module registers the loader.
"""

import functools
from typing import Any

import torch

from mi_tui.engines.vllm.loader import LoadedPair, merged_tensors
from mi_tui.engines.vllm.reload import reload
from mi_tui.engines.vllm.row_lambdas import RowLambdas
from mi_tui.engines.vllm.spec import RECIPE
from mi_tui.plan.recipe import Recipe


class WorkerExtension:
    """Methods that the study's worker calls on every rank by ``collective_rpc``."""

    model_runner: Any

    def mi_tui_describe(self) -> dict[str, Any]:
        """What this rank can do, and where it runs."""
        runner = self.model_runner
        model = runner.get_model()
        device = next(model.parameters()).device
        return {
            "reason": model.mi_tui.reason,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
            "dtype": str(runner.model_config.dtype).removeprefix("torch."),
            "rows": runner.scheduler_config.max_num_seqs,
            "longest": runner.max_model_len,
        }

    def mi_tui_follow(self) -> None:
        """Mix each request by its recipe from now on."""
        pair: LoadedPair = self.model_runner.get_model().mi_tui
        if pair.lambdas is not None:
            _follow(self.model_runner, pair.lambdas)

    def mi_tui_load(self, recipe: str, as_exported: bool) -> None:
        """Write a recipe's merge into the model, through vLLM's own reload.

        Args:
            recipe: JSON of an interpolation or of a baseline.
            as_exported: round the merge to the dtype of the files first.
        """
        runner = self.model_runner
        spec = runner.get_model().mi_tui.spec
        dtype = None if as_exported else runner.model_config.dtype
        reload(runner, merged_tensors(spec, Recipe.model_validate_json(recipe), dtype))


def _follow(runner: Any, lambdas: RowLambdas) -> None:
    """Fill λ's buffers before each step, in either of vLLM's model runners."""
    if hasattr(runner, "req_states"):
        _follow_second_runner(runner, lambdas)
    else:
        _follow_first_runner(runner, lambdas)


def _follow_first_runner(runner: Any, lambdas: RowLambdas) -> None:
    """The runner of vLLM's V1 engine; it reorders its batch before it prepares the inputs."""
    prepare = runner._prepare_inputs

    @functools.wraps(prepare)
    def prepare_with_lambdas(scheduled: Any, *args: Any, **kwargs: Any) -> Any:
        ids = runner.input_batch.req_ids
        recipes = [_number(lambdas, runner.requests[i].sampling_params) for i in ids]
        lambdas.fill(recipes, [scheduled.num_scheduled_tokens[i] for i in ids])
        return prepare(scheduled, *args, **kwargs)

    runner._prepare_inputs = prepare_with_lambdas


def _follow_second_runner(runner: Any, lambdas: RowLambdas) -> None:
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


def _number(lambdas: RowLambdas, sampling: Any) -> int:
    return lambdas.number(sampling.extra_args[RECIPE])
