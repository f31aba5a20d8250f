"""The start-up check of the engine against transformers' own decoding of a merged model."""

from collections import abc
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from mi_tui.engines.protocol import Request, SelfCheck
from mi_tui.engines.transformers.decoding.batch_kind import decoder_for, starting_together
from mi_tui.engines.transformers.decoding.sequence import Finished, Sequence
from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import ModuleKind, Scope

_TOKENS = 8
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
_HALF_TOLERANCE = 2.0**-5
"""How far, as a share of the largest logit, a token may lie below the best one: near ties fall
either way, and half precision rounds logits that coarsely."""

_GREEDY = Decoding(temperature=0)
CHECKED = (
    Recipe(lambda_=0.0, decoding=_GREEDY),
    Recipe(lambda_=0.3, decoding=_GREEDY),
    Recipe(lambda_=0.7, decoding=_GREEDY),
    Recipe(lambda_=0.6, scope=Scope(modules=(ModuleKind.FFN,)), decoding=_GREEDY),
    Recipe(lambda_=1.0, decoding=_GREEDY),
)
"""The recipes that are compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One response as transformers generates it.

    ``tokens`` are its ids; ``logits`` (float32, ``[tokens, vocabulary]``) chose them;
    ``tolerance`` is the share of the largest logit that counts as a tie in the model's dtype.
    """

    tokens: list[int]
    logits: Tensor
    tolerance: float


def references(
    weights: InPlaceWeights, numbers: abc.Sequence[int], prompts: abc.Sequence[abc.Sequence[int]]
) -> list[Reference]:
    """Greedy tokens by transformers' own ``generate`` and attention, per recipe and prompt."""
    found = []
    for number in numbers:
        weights.prepare([number])
        found += [_generate(weights.model, prompt) for prompt in prompts]
    return found


def check(
    weights: Weights,
    numbers: abc.Sequence[int],
    prompts: abc.Sequence[abc.Sequence[int]],
    expected: abc.Sequence[Reference],
    *,
    together: bool,
    device: torch.device,
) -> SelfCheck:
    """Decode the same prompts with our loop and compare.

    Args:
        weights: the weights to check.
        numbers: recipe numbers.
        prompts: token ids, of different lengths.
        expected: one for each recipe and prompt, recipes first.
        together: whether all recipes go into one batch, or each into its own.
        device: where the sequences' state lies.
    """
    sequences = [
        Sequence(Request(at, CHECKED[0], tuple(prompt), seed=0, max_new_tokens=_TOKENS), number)
        for at, (number, prompt) in enumerate((n, p) for n in numbers for p in prompts)
    ]
    size = len(sequences) if together else len(prompts)
    made: dict[int, tuple[int, ...]] = {}
    for start in range(0, len(sequences), size):
        made |= _decode(weights, sequences[start : start + size], device)
    wrong = [at for at, reference in enumerate(expected) if not _agrees(made[at], reference)]
    total = len(numbers) * len(prompts)
    strategy = "one pass" if together else "λ in place"
    if wrong:
        differ = f"{len(wrong)} of {total} greedy responses differ from the merged model's"
        return SelfCheck(False, f"{strategy}: {differ}")
    return SelfCheck(True, f"{strategy}: {total} greedy responses equal the merged model's")


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


def number_recipes(recipes: RecipeIds) -> list[int]:
    """The numbers of the recipes that are compared."""
    return [recipes.number(recipe) for recipe in CHECKED]


def _decode(
    weights: Weights, sequences: abc.Sequence[Sequence], device: torch.device
) -> dict[int, tuple[int, ...]]:
    decoder = decoder_for(weights, capacity=len(sequences), end_tokens=(), device=device)
    done: list[Finished] = []
    waiting = list(sequences)
    while waiting:
        joining = starting_together(decoder, waiting)
        decoder.admit(joining)
        waiting = [sequence for sequence in waiting if sequence not in joining]
        done += decoder.collect()
        while decoder.sequences:
            decoder.step()
            done += decoder.collect()
    return {finished.sequence.request.id: finished.tokens for finished in done}


def _generate(model: Any, prompt: abc.Sequence[int]) -> Reference:
    ids = torch.tensor([list(prompt)], device=model.get_input_embeddings().weight.device)
    # transformers gives it no types.
    greedy = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=_TOKENS,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    kept, attention = model.generation_config, model.config._attn_implementation
    model.set_attn_implementation("eager")
    model.generation_config = greedy  # the checkpoint's own settings would be mixed in
    try:
        output = model.generate(ids, attention_mask=torch.ones_like(ids))
    finally:
        model.generation_config = kept
        model.set_attn_implementation(attention)
    return Reference(
        tokens=output.sequences[0, len(prompt) :].tolist(),
        logits=torch.cat(output.logits).float(),
        tolerance=_TOLERANCE.get(model.dtype, _HALF_TOLERANCE),
    )


def _agrees(made: abc.Sequence[int], reference: Reference) -> bool:
    """Whether the tokens are the reference's, up to the first near tie."""
    for at, (mine, theirs) in enumerate(zip(made, reference.tokens, strict=True)):
        if mine != theirs:
            logits = reference.logits[at]
            gap = float(logits[theirs] - logits[mine])
            return gap <= reference.tolerance * float(logits.abs().max())
    return True
