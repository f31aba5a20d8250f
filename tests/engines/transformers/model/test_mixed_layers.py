"""Experts in grouped products: what one expert after the other gives."""

import pytest
import torch
from torch import nn

from mi_tui.checkpoints.roles import TensorRole
from mi_tui.engines.transformers.model import mixed_layers
from mi_tui.engines.transformers.model.mixed_layers import MixedExperts, SequenceLambda
from mi_tui.engines.transformers.model.pair_tensors import TensorPair
from mi_tui.plan.scope import ModuleKind

EXPERTS, HIDDEN, INNER, CHOSEN = 6, 16, 8, 3
ROLE = TensorRole(0, ModuleKind.FFN)


class _Plain(nn.Module):
    act_fn = staticmethod(torch.nn.functional.silu)


def tensor_pair(*shape: int) -> TensorPair:
    return TensorPair("experts", ROLE, torch.randn(shape), torch.randn(shape), differs=True)


@pytest.fixture
def experts() -> MixedExperts:
    torch.manual_seed(0)
    lambdas = SequenceLambda(ROLE)
    lambdas.column = torch.rand(5, 1)
    sides = tensor_pair(EXPERTS, 2 * INNER, HIDDEN), tensor_pair(EXPERTS, HIDDEN, INNER)
    return MixedExperts(_Plain(), *sides, lambdas)


@pytest.mark.parametrize("tokens", [5, 35])
@pytest.mark.parametrize("used", [1, EXPERTS])
def test_grouped_experts_give_what_one_after_the_other_does(
    experts: MixedExperts, tokens: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:

    chosen = torch.stack([torch.randperm(EXPERTS)[:CHOSEN] for _ in range(tokens)])
    if used == 1:
        chosen = chosen[:, :1] * 0 + 4
    hidden, shares = torch.randn(tokens, HIDDEN), torch.rand(chosen.shape)
    expected = experts(hidden, chosen, shares)
    monkeypatch.setattr(mixed_layers, "_GROUPED", {"cpu"})
    torch.testing.assert_close(experts(hidden, chosen, shares), expected)
