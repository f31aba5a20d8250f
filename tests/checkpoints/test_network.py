"""The shape of a network as a scope sees it."""

import pytest

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.network import context_of, network_of
from mi_tui.plan.scope import ModuleKind


def test_the_bundled_pair_has_four_dense_layers_and_a_tied_head() -> None:
    network = network_of(inspect(locate("bundled:thinking")))
    assert network.layers == 4
    assert set(network.kinds) == {
        ModuleKind.ATTENTION,
        ModuleKind.FFN,
        ModuleKind.NORMS,
        ModuleKind.EMBEDDINGS,
    }
    assert (0, ModuleKind.FFN) in network.places
    assert (None, ModuleKind.EMBEDDINGS) in network.places
    assert (4, ModuleKind.FFN) not in network.places


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 32768}, 32768),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
        ({"max_position_embeddings": "many", "rope_scaling": {"factor": float("nan")}}, None),
        (
            {
                "rope_parameters": {
                    "factor": float("nan"),
                    "original_max_position_embeddings": 32768,
                }
            },
            None,
        ),
        ({}, None),
    ],
)
def test_the_context_is_read_from_the_config(
    config: dict[str, object], context: int | None
) -> None:
    assert context_of(config) == context
