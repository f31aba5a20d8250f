"""One pass: sequences of different λ in one batch through one model.

A linear layer is linear in its weights: with W(λ) = W_i + λ·Δ and Δ = W_t − W_i, a batch whose
sequences have different λ is computed exactly as x·W_iᵀ + (λ ⊙ x)·Δᵀ. Embeddings and norms are
linear in their weights too. λ may differ per sequence, per layer and per module kind; what is the
same on both sides is left alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from mi_tui.checkpoints.roles import TensorRole
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.memory import SMALL_MODEL
from mi_tui.engines.transformers.model.fixed_rope import fix_long_rope
from mi_tui.engines.transformers.model.forward import Batching, Forward
from mi_tui.engines.transformers.model.fused_forward import forward_of
from mi_tui.engines.transformers.model.mixed_layers import (
    MixedEmbedding,
    MixedExperts,
    MixedLinear,
    MixedNorm,
    MixedRouter,
    SequenceLambda,
)
from mi_tui.engines.transformers.model.mixing_rule import (
    Mixing,
    cannot_mix,
    cannot_mix_buffer,
    mixing_of,
)
from mi_tui.engines.transformers.model.pair_tensors import PairTensors, TensorPair
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind


class CannotMixError(EngineError):
    """A module that one pass does not know how to mix."""


class OnePassWeights:
    """A model whose sequences follow their own recipes.

    Raises:
        CannotMixError: the model has a module, different on the two sides, of an unknown kind.
    """

    def __init__(self, pair_tensors: PairTensors, recipes: RecipeIds) -> None:
        self.model: Any = pair_tensors.view()
        fix_long_rope(self.model)
        self.batching = Batching.CONTINUOUS
        self.in_pages = False
        self._recipes = recipes
        self._device = pair_tensors.device
        self._sequences: dict[tuple[int | None, ModuleKind], SequenceLambda] = {}
        self._by_tensor = {
            id(tensor): pair_tensors[name] for name, tensor in pair_tensors.instruct()
        }
        left = {
            tensor_pair.name
            for tensor_pair in pair_tensors
            if tensor_pair.differs and tensor_pair.role.kind is not ModuleKind.VISION
        }
        mixed: set[str] = set()
        makers: dict[str, Callable[[], nn.Module]] = {}
        for name, module in self.model.named_modules():
            own = self._own(module)
            # Towers read no text: Instruct's will do.
            if left & {tensor_pair.name for tensor_pair in own.values()}:
                makers[name] = self._maker(name, module, own)
                mixed |= {tensor_pair.name for tensor_pair in own.values()}
        if left - mixed:
            raise CannotMixError(cannot_mix_buffer(min(left - mixed)))
        # Δ takes as much memory as a model: computed once it is known that all can be mixed.
        for name, make in makers.items():
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, make())
        self._table = torch.zeros(0, len(self._sequences))
        # Fusing takes a copy of Instruct's weights, which only a small model has to spare.
        self.forward: Forward = forward_of(self.model, fuse=pair_tensors.bytes <= SMALL_MODEL)

    @staticmethod
    def takes(recipe: Recipe) -> bool:
        """Whether the recipe is linear in λ, and so may share a batch with others."""
        return recipe.is_of_the_pair

    def prepare(self, recipes: Sequence[int]) -> None:
        """Give each sequence its recipe's λ."""
        if len(self._table) < len(self._recipes):
            self._extend_table()
        chosen = self._table[list(recipes)].T.contiguous()
        zero = (chosen == 0).all(1).tolist()
        lambdas = chosen.to(self._device)
        columns = lambdas[:, :, None].unbind(0)
        scales = torch.stack((torch.ones_like(lambdas), lambdas), -1)[:, :, None, :, None].unbind(0)
        for sequence, column, scale, is_zero in zip(
            self._sequences.values(), columns, scales, zero, strict=True
        ):
            sequence.column, sequence.scale, sequence.is_zero = column, scale, is_zero
        self.forward.refresh()

    def _extend_table(self) -> None:
        """Write the λ of new recipes, one column per layer and module kind (host, float32)."""
        new = [
            [
                recipe.lambda_at(layer, kind) if self.takes(recipe) else 0.0
                for layer, kind in self._sequences
            ]
            for recipe in (self._recipes[n] for n in range(len(self._table), len(self._recipes)))
        ]
        self._table = torch.cat(
            [self._table, torch.tensor(new).view(len(new), len(self._sequences))]
        )

    def _own(self, module: nn.Module) -> dict[str, TensorPair]:
        """The pair's tensors of a module's own parameters; a tied head finds the embedding's."""
        parameters = module.named_parameters(recurse=False)
        return {name: self._by_tensor[id(parameter)] for name, parameter in parameters}

    def _sequence(self, role: TensorRole) -> SequenceLambda:
        return self._sequences.setdefault((role.layer, role.kind), SequenceLambda(role))

    def _maker(
        self, name: str, module: nn.Module, own: dict[str, TensorPair]
    ) -> Callable[[], nn.Module]:
        """What makes the module that takes this one's place."""
        first = next(iter(own.values()))
        sequence = self._sequence(first.role)
        way = mixing_of(module, own, first.role.kind)
        if way is Mixing.LINEAR:
            assert isinstance(module, nn.Linear)
            return partial(MixedLinear, module, own["weight"], own.get("bias"), sequence)
        if way is Mixing.EMBEDDING:
            assert isinstance(module, nn.Embedding)
            return partial(MixedEmbedding, module, own["weight"], sequence)
        if way is Mixing.EXPERTS:
            return partial(MixedExperts, module, own["gate_up_proj"], own["down_proj"], sequence)
        if way is Mixing.ROUTER:
            return partial(MixedRouter, module, first, sequence)
        if way is Mixing.NORM:
            return partial(MixedNorm, module, own, sequence)
        raise CannotMixError(cannot_mix(name, module))
