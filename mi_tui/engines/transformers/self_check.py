"""The start-up check of the engine against plain transformers with the merged checkpoint."""

from collections import abc
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from mi_tui.checkpoints.merging.plan import plan_merge
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.engines.protocol import SelfCheck
from mi_tui.engines.transformers.devices.devices import dtype_name
from mi_tui.engines.transformers.devices.memory import free_bytes
from mi_tui.engines.transformers.lambda_reading import Reading, of_outputs, of_weights, worst
from mi_tui.engines.transformers.logits_reading import (
    COMPARED,
    Reference,
    plain_logits,
    read_own_cache,
    read_slots,
)
from mi_tui.engines.transformers.model.fixed_rope import dynamic_limit
from mi_tui.engines.transformers.model.forward import Batching, Weights
from mi_tui.engines.transformers.model.fused_forward import FusedForward
from mi_tui.engines.transformers.model.merged_model import load_merged
from mi_tui.engines.transformers.model.pair_tensors import PairTensors, tensors_of
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.engines.transformers.weights.one_pass import OnePassWeights
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe, interpolation
from mi_tui.plan.scope import LayerRange, ModuleKind

SHORTEST = 2 * COMPARED
"""Tokens of the longest prompt below which there is nothing to compare."""

_NEAR = {torch.float32: 2e-5, torch.float64: 1e-9}
_NEAR_IN_HALF = 2.0**-3
_NEAR_OF_EXPERTS_IN_HALF = 2.0**-1
"""By how much of the largest logit log-probabilities may differ from rounding alone.

In half precision it is wide (experts that are chosen otherwise), and λ is read back instead.
"""

_LONGEST = {"cpu": 1100}
_LONGEST_ELSEWHERE = 4608
_WORK_ON_CPU = 3e10
"""Tokens times weights of a prompt that a CPU reads in about a second."""

_GOLDEN = 0.6180339887


@dataclass(frozen=True, slots=True)
class References:
    """All that is compared, and the first fault of the weights in place.

    ``near`` is the share of the largest logit by which log-probabilities may differ.
    """

    found: tuple[Reference, ...]
    in_place_fault: Reading | None
    near: float

    @property
    def is_finite(self) -> bool:
        """Whether all logits are numbers."""
        return all(bool(reference.logits.isfinite().all()) for reference in self.found)

    @property
    def longest(self) -> int:
        """The length of the longest prompt."""
        return max(len(reference.prompt) for reference in self.found)


def varied(layers: int, shift: int = 0) -> Recipe:
    """A recipe with a λ of its own for every layer and module kind, between 0.2 and 0.8."""
    rules = [
        LambdaRule(
            lambda_=_spread(layer * len(ModuleKind) + at + shift),
            layers=() if layer == layers else (LayerRange(first=layer, last=layer),),
            modules=(kind,),
        )
        # What is outside the layers comes first: a later rule wins.
        for layer in range(layers, -1, -1)
        for at, kind in enumerate(ModuleKind)
    ]
    return Recipe(lambda_=0.5, rules=tuple(rules))


def _spread(at: int) -> float:
    return round(0.2 + 0.6 * ((at + 1) * _GOLDEN % 1.0), 3)


def references(
    in_place: InPlaceWeights,
    pair_tensors: PairTensors,
    pair: Pair,
    recipes: RecipeIds,
    prompts: abc.Sequence[abc.Sequence[int]],
    longest: int,
) -> References:
    """Let plain transformers read the prompts with merged checkpoints, as they are exported.

    The tensors are those of the merge's plan and the config is the donor's; λ of the weights in
    place is read back on the way. On an accelerator the merged tensors are written into the model
    in place. Where memory does not allow a merged model of its own, they are mixed one by one.

    Raises:
        CheckpointError: a checkpoint cannot be read.
        EngineError: transformers cannot load the merged checkpoint.
    """
    uneven = varied(_layers(pair_tensors))
    # Layers that keep a state compute otherwise without a cache, some of them wrongly.
    cached = in_place.batching is not Batching.CONTINUOUS
    texts = _prompts(prompts, pair_tensors, longest)
    found: list[Reference] = []
    fault: Reading | None = None
    for recipe in (uneven, interpolation(0.0), interpolation(1.0)):
        number = recipes.number(recipe)
        loaded = _exported(recipe, pair, pair_tensors)
        tensors = _Mixed(pair_tensors, recipe) if loaded is None else tensors_of(loaded)
        in_place.prepare([number])
        own = tensors_of(in_place.model)
        fault = fault or worst(of_weights(own, tensors, pair_tensors, recipe))
        if loaded is None or pair_tensors.device.type != "cpu":
            in_place.write(tensors)
            loaded = in_place.model
        for prompt in texts if recipe is uneven else texts[:1]:
            logits = plain_logits(loaded, prompt, cached=cached)
            found.append(Reference(number, prompt, logits))
    routed = any(one.role.kind is ModuleKind.ROUTER for one in pair_tensors)
    half = _NEAR_OF_EXPERTS_IN_HALF if routed else _NEAR_IN_HALF
    return References(tuple(found), fault, _NEAR.get(pair_tensors.dtype, half))


def check(weights: Weights, expected: References, device: torch.device) -> SelfCheck:
    """Read the same prompts through our cache, all recipes together or one after the other.

    Args:
        weights: the weights to check.
        expected: what plain transformers says.
        device: where the sequences' state lies.
    """
    together = isinstance(weights, OnePassWeights)
    strategy = "one pass" if together else "λ in place"
    read = read_slots if weights.batching is Batching.CONTINUOUS else read_own_cache
    by_recipe = groupby(expected.found, lambda reference: reference.number)
    batches = [list(expected.found)] if together else [list(group) for _, group in by_recipe]
    differing = 0
    for batch in batches:
        for reference, logits in zip(batch, read(weights, batch, device), strict=True):
            differing += not _agrees(logits, reference.logits, expected.near)
    total = len(expected.found)
    if differing:
        words = f"log-probabilities of {differing} of {total} prompts differ"
        return SelfCheck(False, f"{strategy}: {words} from the exported model's")
    words = f"λ of every module and log-probabilities of {total} prompts (up to {expected.longest}"
    return SelfCheck(True, f"{strategy}: {words} tokens) equal the exported model's")


def one_pass_fault(
    one_pass: OnePassWeights, in_place: InPlaceWeights, pair_tensors: PairTensors, ids: RecipeIds
) -> str:
    """The module whose λ in one pass is wrong by most, in words; empty where all are right.

    It is read from two sequences at once.
    """
    layers = _layers(pair_tensors)
    recipes = varied(layers), varied(layers, shift=layers)
    one_pass.prepare([ids.number(recipe) for recipe in recipes])
    forward = one_pass.forward
    fused = forward.mixed_parts() if isinstance(forward, FusedForward) else {}
    found = worst(of_outputs(one_pass.model, in_place.model, pair_tensors, recipes, fused))
    return "" if found is None else f"{found}: outputs differ"


def nonfinite(pair_tensors: PairTensors) -> str:
    """Why logits are NaN or Inf: the tensor that holds such numbers, where one does."""
    for tensor_pair in pair_tensors:
        for side, tensor in (
            ("Instruct", tensor_pair.instruct),
            ("Thinking", tensor_pair.thinking),
        ):
            if tensor.is_floating_point() and not tensor.isfinite().all():
                return f"NaN or Inf in {tensor_pair.name} of {side}: download the checkpoint again"
    return "the merged model's logits are NaN or Inf: take another dtype, such as bfloat16"


class _Mixed(abc.Mapping[str, Tensor]):
    """The tensors of a merge, each mixed from the pair when it is asked for."""

    def __init__(self, pair_tensors: PairTensors, recipe: Recipe) -> None:
        self._pairs = {tensor_pair.name: tensor_pair for tensor_pair in pair_tensors}
        self._recipe = recipe

    def __getitem__(self, name: str) -> Tensor:
        pair = self._pairs[name]
        lambda_ = self._recipe.lambda_at(pair.role.layer, pair.role.kind)
        return mix(pair.instruct, pair.thinking, lambda_)

    def __iter__(self) -> abc.Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


def _exported(recipe: Recipe, pair: Pair, pair_tensors: PairTensors) -> Any:
    """The merged checkpoint as transformers loads it, on the CPU; ``None`` without the memory."""
    if free_bytes(torch.device("cpu")) < 2 * pair_tensors.bytes:
        return None
    dtype = cast(MergeDtype, dtype_name(pair_tensors.dtype))
    plan = plan_merge(recipe, pair, Path(), dtype=dtype)
    trust = pair.trust_remote_code
    return load_merged(plan, pair_tensors.dtype, trust_remote_code=trust).model


def _prompts(
    prompts: abc.Sequence[abc.Sequence[int]], pair_tensors: PairTensors, longest: int
) -> list[tuple[int, ...]]:
    """The prompts with random tokens behind them, and a longer one."""
    generator = torch.Generator().manual_seed(0)

    def random(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(pair_tensors.vocabulary, (count,), generator=generator).tolist())

    return [*((*prompt, *random(COMPARED)) for prompt in prompts), random(longest)]


def long_length(pair_tensors: PairTensors) -> int:
    """Tokens beyond every window, chunk and rope limit that there is time to read."""
    config = pair_tensors.config.get_text_config(decoder=True)
    rope = getattr(config, "rope_parameters", None) or {}
    limits = [
        getattr(config, "sliding_window", None),
        getattr(config, "attention_chunk_size", None),
        rope.get("original_max_position_embeddings"),
    ]
    device = pair_tensors.device.type
    cap = _LONGEST.get(device, _LONGEST_ELSEWHERE)
    if device == "cpu":
        cap = min(cap, int(_WORK_ON_CPU * pair_tensors.dtype.itemsize / pair_tensors.bytes))
    for most in (getattr(config, "max_position_embeddings", None), dynamic_limit(config)):
        cap = min(cap, most or cap)
    wanted = [limit + 2 * COMPARED for limit in limits if isinstance(limit, int)]
    fitting = [length for length in (*wanted, 8 * COMPARED) if length <= cap]
    return max(fitting, default=max(cap, COMPARED + 1))


def _layers(pair_tensors: PairTensors) -> int:
    return 1 + max((pair.role.layer or 0 for pair in pair_tensors), default=0)


def _agrees(logits: Tensor, reference: Tensor, near: float) -> bool:
    """Whether log-probabilities differ by rounding alone.

    The median of the tokens counts: rounding may send one of them to another expert, and what is
    wrong in a module, a mask or a rope changes all of them.
    """
    near *= max(1.0, float(reference.abs().max()))
    apart = (logits.to(reference.device).log_softmax(-1) - reference.log_softmax(-1)).abs()
    return bool(apart.amax(-1).median() <= near)
