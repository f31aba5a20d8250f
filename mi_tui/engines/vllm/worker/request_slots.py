"""λ of the request slots of vLLM's second model runner, kept on the device.

The runner gives each request a slot when it arrives, and each batch lists the slots it computes.
"""

from typing import Any

import numpy as np
import torch

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers


class RequestSlots:
    """The table's row of each slot.

    Args:
        lambdas: written before each step.
        count: how many slots the runner has.
    """

    def __init__(self, lambdas: LambdaBuffers, count: int) -> None:
        self._lambdas = lambdas
        self._rows = np.zeros(count, dtype=np.int64)
        self._on_device = torch.zeros(count, dtype=torch.int64, device=lambdas.device)
        self._numbers = torch.arange(lambdas.most_tokens, dtype=torch.int32, device=lambdas.device)

    def add(self, slot: int, request: str, sampling_params: Any) -> None:
        """Give a slot the row that its request asks for."""
        extra_args = None if sampling_params is None else sampling_params.extra_args
        self._rows[slot] = self._lambdas.table.hold(request, extra_args)

    def remove(self, request: str) -> None:
        """The request's row may be taken for another recipe."""
        self._lambdas.table.release(request)

    def apply_staged_writes(self) -> None:
        """Copy the rows to the device, behind whatever still runs there."""
        rows = torch.from_numpy(self._rows.copy())
        if self._on_device.is_cuda:  # pinned, so that the copy waits for no running step
            rows = rows.pin_memory()
        self._on_device.copy_(rows, non_blocking=True)

    def write(self, batch: Any) -> None:
        """Write λ of a batch: vLLM's ``InputBatch``, its tensors on the device.

        Drafts of speculative decoding have rows of logits of their own, which the batch lists.
        """
        count = batch.num_reqs
        present = self._rows[batch.idx_mapping_np[:count]].tolist()
        step = [*batch.num_scheduled_tokens.tolist(), batch.num_draft_tokens]
        if self._lambdas.holds(present, step) and not batch.num_draft_tokens:
            return
        ends = batch.query_start_loc[1 : count + 1]
        owner = torch.searchsorted(ends, self._numbers[: batch.num_tokens], right=True)
        of_request = self._on_device[batch.idx_mapping[:count]]
        self._lambdas.write(
            of_request[owner.clamp_(max=count - 1)],
            self._on_device[batch.expanded_idx_mapping],
            present,
        )
