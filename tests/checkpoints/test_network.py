"""The shape of a network as a scope sees it."""

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.network import network_of
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
