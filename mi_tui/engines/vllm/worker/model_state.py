"""λ per request in vLLM's second model runner (V2), as state of the model's own.

The runner asks the model for the class of its state, and tells that state of every request that
comes and goes and of every batch.
"""

from typing import Any

from vllm.v1.worker.gpu.model_states import resolve_model_state_cls

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.request_slots import RequestSlots


def give_model_state(model: Any, vllm_config: Any, lambdas: LambdaBuffers) -> None:
    """Let the runner find a state that writes λ, beside all that the model's usual one does.

    Args:
        model: loaded, and not yet given to the runner.
        vllm_config: vLLM's whole configuration.
        lambdas: what the mixed layers read.
    """
    usual: Any = resolve_model_state_cls(vllm_config, model)

    class LambdaModelState(usual):  # type: ignore[misc]  # vLLM is not typed
        """The usual state, and the λ of each request."""

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._slots = RequestSlots(lambdas, self.max_num_reqs)

        def add_request(self, req_index: int, new_req_data: Any) -> None:
            super().add_request(req_index, new_req_data)
            self._slots.add(req_index, new_req_data.req_id, new_req_data.sampling_params)

        def remove_request(self, req_id: str) -> None:
            super().remove_request(req_id)
            self._slots.remove(req_id)

        def apply_staged_writes(self) -> None:
            super().apply_staged_writes()
            self._slots.apply_staged_writes()

        def prepare_inputs(self, input_batch: Any, req_states: Any) -> Any:
            self._slots.write(input_batch)
            return super().prepare_inputs(input_batch, req_states)

    model.get_model_state_cls = lambda: LambdaModelState
