"""In place: one model whose weights are rewritten for one recipe at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from mi_tui.checkpoints.merging.in_memory import tensors_of as tensors_in
from mi_tui.checkpoints.merging.plan import plan_merge
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.engines.transformers.decoding.timing import own_clock
from mi_tui.engines.transformers.devices.devices import dtype_name
from mi_tui.engines.transformers.model.fixed_rope import fix_long_rope
from mi_tui.engines.transformers.model.forward import Batching, Forward
from mi_tui.engines.transformers.model.fused_forward import forward_of
from mi_tui.engines.transformers.model.merged_model import load_merged
from mi_tui.engines.transformers.model.pair_tensors import PairTensors, tensors_of
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation


class InPlaceWeights:
    """The single merged model; switching the recipe neither reads a file nor reloads anything."""

    def __init__(self, pair_tensors: PairTensors, recipes: RecipeIds, pair: Pair) -> None:
        self.model: Any = pair_tensors.model()
        fix_long_rope(self.model)
        self.batching = Batching.CONTINUOUS
        self.in_pages = False
        # Before the tensors are taken note of: fusing stacks them.
        self.forward: Forward = forward_of(self.model)
        self._pair_tensors = pair_tensors
        self._pair = pair
        self._recipes = recipes
        self._tensors = tensors_of(self.model)
        self._now: dict[str, float] = {tensor_pair.name: 0.0 for tensor_pair in pair_tensors}
        self._current: int | None = None

    def prepare(self, recipes: Sequence[int]) -> None:
        """Switch to the sequences' recipe, which must be one and the same."""
        (number,) = set(recipes)
        if number != self._current:
            self._current = None
            self.switch(self._recipes[number], as_exported=self._recipes.as_exported(number))
            self._current = number

    @torch.inference_mode()
    def switch(self, recipe: Recipe, *, as_exported: bool = False) -> None:
        """Write the recipe's weights into the model; what does not change is not touched.

        ``as_exported``: rounded to the dtype of a merged checkpoint, bit for bit what it holds.

        Raises:
            CheckpointError: the recipe names a checkpoint beside the pair that cannot be read.
            EngineError: the recipe does so, and transformers cannot load the merged checkpoint.
        """
        if not recipe.is_of_the_pair:
            self._write_from_files(recipe, as_exported)
        elif as_exported:
            self._write_rounded(recipe)
        else:
            self._write(recipe)
        self.forward.refresh()

    def _write(self, recipe: Recipe) -> None:
        for tensor_pair in self._pair_tensors:
            if not tensor_pair.differs and tensor_pair.name in self._now:
                continue
            lambda_ = recipe.lambda_at(tensor_pair.role.layer, tensor_pair.role.kind)
            if lambda_ != self._now.get(tensor_pair.name):
                out = self._tensors[tensor_pair.name]
                instruct, thinking = (
                    tensor_pair.instruct.to(out.device),
                    tensor_pair.thinking.to(out.device),
                )
                interpolate_into(out, instruct, thinking, lambda_)
                self._now[tensor_pair.name] = lambda_

    def _write_rounded(self, recipe: Recipe) -> None:
        """Mix with the arithmetic of the file merger, and round as it does."""
        self._now.clear()
        for tensor_pair in self._pair_tensors:
            out = self._tensors[tensor_pair.name]
            lambda_ = recipe.lambda_at(tensor_pair.role.layer, tensor_pair.role.kind)
            instruct, thinking = (
                tensor_pair.instruct.to(out.device),
                tensor_pair.thinking.to(out.device),
            )
            stored, exported = tensor_pair.stored or None, tensor_pair.exported
            out.copy_(mix(instruct, thinking, lambda_, out_dtype=exported, stored=stored))

    def _write_from_files(self, recipe: Recipe, as_exported: bool) -> None:
        """Baselines and other backbones are computed from the files, as an exported merge is."""
        self._now.clear()
        own = cast(MergeDtype, dtype_name(self._pair_tensors.dtype))
        dtype: MergeDtype = "auto" if as_exported else own
        plan = plan_merge(recipe, self._pair, Path(), dtype=dtype)
        if set(self._tensors) <= {tensor.name for tensor in plan.tensors}:
            named = self.model.state_dict()
            for name, tensor in tensors_in(plan):
                if name in named:
                    named[name].copy_(tensor)
            return
        # Stacked experts and the like: transformers knows what becomes of the files' names.
        trust = self._pair.trust_remote_code
        loaded = load_merged(plan, self._pair_tensors.dtype, trust_remote_code=trust)
        for name, tensor in tensors_of(loaded.model).items():
            self._tensors[name].copy_(tensor)

    @torch.inference_mode()
    def write(self, tensors: Mapping[str, Tensor]) -> None:
        """Take these weights, by the model's names, until the next :meth:`prepare`."""
        self._current = None
        self._now.clear()
        for name, out in self._tensors.items():
            out.copy_(tensors[name])
        self.forward.refresh()

    def time_switch(self) -> float:
        """Seconds for one change of every λ; the recipe of the sequences is set again after."""
        current = self._current
        self.switch(interpolation(0.25))
        started = own_clock(self._pair_tensors.device)
        self.switch(interpolation(0.75))
        seconds = own_clock(self._pair_tensors.device) - started
        self._current = None
        if current is not None:
            self.prepare([current])
        return seconds


def interpolate_into(out: Tensor, instruct: Tensor, thinking: Tensor, lambda_: float) -> None:
    """Write λ·thinking + (1 − λ)·instruct into ``out``, all of one shape and floating dtype.

    One fused pass over memory, float32 inside, rounded once. Its last bit may differ from that of
    ``checkpoints.mix``, which rounds after each operation as the file merger does and takes three
    to four times as long; λ = 0 and λ = 1 are the checkpoints, bit for bit.
    """
    if lambda_ in (0.0, 1.0) or not out.is_floating_point():
        out.copy_(thinking if lambda_ == 1.0 else instruct)
    else:
        torch.lerp(instruct, thinking, lambda_, out=out)
