"""Every recipe in one batch: rows of different λ through one model.

A linear layer is linear in its weights: with W(λ) = W_i + λ·Δ and Δ = W_t − W_i, a batch whose
rows have different λ is computed exactly as x·W_iᵀ + (λ ⊙ x)·Δᵀ. Embeddings and norms are linear
in their weights too. λ may differ per row, per layer and per module kind; what is the same on
both sides is left alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from mi_tui.checkpoints.roles import TensorRole
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.memory import SMALL_MODEL
from mi_tui.engines.transformers.model.forward import Forward
from mi_tui.engines.transformers.model.fused_forward import forward_of
from mi_tui.engines.transformers.model.mixed_layers import (
    MixedEmbedding,
    MixedExperts,
    MixedLinear,
    MixedNorm,
    MixedRouter,
    RowLambda,
)
from mi_tui.engines.transformers.model.pair_tensors import Source, Sources
from mi_tui.engines.transformers.weights.recipe_ids import RecipeNumbers
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind


class CannotMixError(EngineError):
    """A module that one pass does not know how to mix."""


class OnePassWeights:
    """A model whose rows follow their own recipes.

    Raises:
        CannotMixError: the model has a module, different on the two sides, of an unknown kind.
    """

    def __init__(self, sources: Sources, recipes: RecipeNumbers) -> None:
        self.model: Any = sources.view()
        self._recipes = recipes
        self._device = sources.device
        self._rows: dict[tuple[int | None, ModuleKind], RowLambda] = {}
        self._by_tensor = {id(tensor): sources[name] for name, tensor in sources.instruct()}
        left = {source.name for source in sources if source.differs}
        makers: dict[str, Callable[[], nn.Module]] = {}
        for name, module in self.model.named_modules():
            own = self._own(module)
            if any(source.differs for source in own.values()):
                makers[name] = self._maker(name, module, own)
                left -= {source.name for source in own.values()}
        if left:
            raise CannotMixError(f"{min(left)} is a buffer, which one pass cannot mix")
        # Δ takes as much memory as a model: computed once it is known that all can be mixed.
        for name, make in makers.items():
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, make())
        self._table = torch.zeros(0, len(self._rows))
        # Fusing takes a copy of Instruct's weights, which only a small model has to spare.
        self.forward: Forward = forward_of(self.model, fuse=sources.bytes <= SMALL_MODEL)

    @staticmethod
    def takes(recipe: Recipe) -> bool:
        """Whether the recipe is linear in λ, and so may share a batch with others."""
        return recipe.is_of_the_pair

    def prepare(self, recipes: Sequence[int]) -> None:
        """Give each row its recipe's λ."""
        if len(self._table) < len(self._recipes):
            self._extend_table()
        chosen = self._table[list(recipes)].T.contiguous()
        zero = (chosen == 0).all(1).tolist()
        lambdas = chosen.to(self._device)
        columns = lambdas[:, :, None].unbind(0)
        scales = torch.stack((torch.ones_like(lambdas), lambdas), -1)[:, :, None, :, None].unbind(0)
        for row, column, scale, is_zero in zip(
            self._rows.values(), columns, scales, zero, strict=True
        ):
            row.column, row.scale, row.is_zero = column, scale, is_zero
        self.forward.refresh()

    def _extend_table(self) -> None:
        """Write the λ of new recipes, one column per layer and module kind (host, float32)."""
        new = [
            [
                recipe.lambda_at(layer, kind) if self.takes(recipe) else 0.0
                for layer, kind in self._rows
            ]
            for recipe in (self._recipes[n] for n in range(len(self._table), len(self._recipes)))
        ]
        self._table = torch.cat([self._table, torch.tensor(new).view(len(new), len(self._rows))])

    def _own(self, module: nn.Module) -> dict[str, Source]:
        """The sources of a module's own parameters; a tied head finds the embedding's."""
        parameters = module.named_parameters(recurse=False)
        return {name: self._by_tensor[id(parameter)] for name, parameter in parameters}

    def _row(self, role: TensorRole) -> RowLambda:
        return self._rows.setdefault((role.layer, role.kind), RowLambda(role))

    def _maker(
        self, name: str, module: nn.Module, own: dict[str, Source]
    ) -> Callable[[], nn.Module]:
        """What makes the module that takes this one's place."""
        first = next(iter(own.values()))
        row = self._row(first.role)
        if isinstance(module, nn.Linear):
            return partial(MixedLinear, module, own["weight"], own.get("bias"), row)
        if isinstance(module, nn.Embedding):
            return partial(MixedEmbedding, module, own["weight"], row)
        if own.keys() == {"gate_up_proj", "down_proj"} and hasattr(module, "act_fn"):
            return partial(MixedExperts, module, own["gate_up_proj"], own["down_proj"], row)
        if first.role.kind is ModuleKind.ROUTER and own.keys() == {"weight"}:
            return partial(MixedRouter, module, first, row)
        if first.role.kind is ModuleKind.NORMS and own.keys() <= {"weight", "bias"}:
            return partial(MixedNorm, module, own, row)
        raise CannotMixError(f"{name} is a {type(module).__name__}, which one pass cannot mix")
