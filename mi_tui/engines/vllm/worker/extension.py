"""The worker extension of vLLM: what each rank can do, and merges in place.

Given to vLLM as ``worker_extension_cls``. Importing this module registers the loader.
"""

from typing import Any

import torch

from mi_tui.engines.vllm.worker.merged_weights import merged_tensors
from mi_tui.engines.vllm.worker.plugin import register
from mi_tui.engines.vllm.worker.reload import reload
from mi_tui.plan.recipe import Recipe

register()  # also where the package's entry points are older than this code


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
            "batch_size": runner.scheduler_config.max_num_seqs,
            "longest": runner.max_model_len,
        }

    def mi_tui_load(self, recipe: str, as_exported: bool) -> None:
        """Write a recipe's merge into the model, through vLLM's own reload.

        Args:
            recipe: JSON of an interpolation or of a baseline.
            as_exported: round the merge to the dtype of the files first.
        """
        runner = self.model_runner
        spec = runner.get_model().mi_tui.spec
        dtype = None if as_exported else runner.model_config.dtype
        reload(runner, merged_tensors(spec.pair, Recipe.model_validate_json(recipe), dtype))
