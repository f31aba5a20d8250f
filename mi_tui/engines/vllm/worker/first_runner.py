"""λ per request in vLLM's first model runner (V1), which has no hook for a model's own state.

Its ``_prepare_inputs`` is the one method that knows a step's requests, in the order of the batch,
before the model runs. It is wrapped once, for all runners of the process; a runner whose model was
not loaded by us is left alone.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.seeded_sampling import let_generators_rewind


def follow_requests(runner_class: Any) -> None:
    """Let the runners of this class write λ before each step; a second call changes nothing."""
    prepare = runner_class._prepare_inputs
    if hasattr(prepare, "__wrapped__"):
        return

    @functools.wraps(prepare)
    def prepare_with_lambdas(runner: Any, scheduled: Any, *args: Any, **kwargs: Any) -> Any:
        pair = getattr(runner.get_model(), "mi_tui", None)
        if pair is not None and pair.lambdas is not None:
            _write(pair.lambdas, runner, scheduled)
        prepared = prepare(runner, scheduled, *args, **kwargs)
        if pair is not None:
            let_generators_rewind(runner)
        return prepared

    runner_class._prepare_inputs = prepare_with_lambdas


def _write(lambdas: LambdaBuffers, runner: Any, scheduled: Any) -> None:
    table = lambdas.table
    ids = runner.input_batch.req_ids
    for arrival in scheduled.scheduled_new_reqs:  # an id may come again
        table.release(arrival.req_id)
    table.release_all_but(ids)
    rows = []
    for request in ids:
        sampling = runner.requests[request].sampling_params
        rows.append(table.hold(request, sampling.extra_args if sampling else None))
    counts = [scheduled.num_scheduled_tokens[request] for request in ids]
    if lambdas.holds(rows, counts):
        return
    of_request = torch.tensor(rows)
    of_token = of_request.repeat_interleave(torch.tensor(counts))
    lambdas.write(_moved(of_token, lambdas.device), _moved(of_request, lambdas.device), rows)


def _moved(rows: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":  # pinned, so that the copy waits for no running step
        return rows.pin_memory().to(device, non_blocking=True)
    return rows
