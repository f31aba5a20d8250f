"""Δ by loading Thinking over Instruct, with whatever the loader does to the tensors."""

import pytest
import torch
from torch import nn

from mi_tui.engines.vllm.worker.differences import CannotMixError, differences


class Tied(nn.Module):
    """A stacked layer that a loader fills part by part, and a head that shares the embedding."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.embed = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight
        self.stacked = nn.Linear(4, 8)
        self.same = nn.Linear(4, 4, bias=False)
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.ones(1))
        with torch.no_grad():
            for parameter in (self.embed.weight, self.stacked.weight, self.stacked.bias):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            self.same.weight.fill_(1.0)


def load(model: Tied, other: Tied) -> None:
    with torch.no_grad():
        model.embed.weight.copy_(other.embed.weight)
        model.stacked.weight[:5].copy_(other.stacked.weight[:5])
        model.stacked.weight[5:].copy_(other.stacked.weight[5:])
        model.stacked.bias.copy_(other.stacked.bias)


def test_differences_by_parameter_and_the_model_as_it_was() -> None:
    model, thinking = Tied(0), Tied(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = differences(model, lambda: load(model, thinking))
    assert {found[key].name for key in found} == {"embed.weight", "stacked.weight", "stacked.bias"}
    assert found[id(model.head.weight)].name == "embed.weight"
    wanted = thinking.stacked.weight - model.stacked.weight
    assert torch.equal(found[id(model.stacked.weight)].delta, wanted)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_half_precision_is_subtracted_in_float32() -> None:
    model, thinking = Tied(0), Tied(1)
    model.to(torch.bfloat16)
    thinking.to(torch.bfloat16)
    found = differences(model, lambda: load(model, thinking))
    wanted = (thinking.embed.weight.float() - model.embed.weight.float()).bfloat16()
    assert torch.equal(found[id(model.embed.weight)].delta, wanted)


def test_a_buffer_that_differs_is_refused_and_put_back() -> None:
    model = Tied(0)

    def load_scale() -> None:
        model.scale.fill_(2.0)

    with pytest.raises(CannotMixError, match="scale"):
        differences(model, load_scale)
    assert model.scale.item() == 1.0
