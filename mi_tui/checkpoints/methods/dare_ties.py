"""DARE-TIES: TIES with DARE's random drop (arXiv 2311.03099) in place of trimming."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mi_tui.checkpoints.methods.dare import RANDOM, Dare
from mi_tui.plan.method import (
    METHODS,
    ChunkMerge,
    MergeChunk,
    Mergekit,
    MergeMethod,
    Sum,
    Tensor,
    Values,
)

if TYPE_CHECKING:
    from mi_tui.checkpoints.kernels.numpy_kernel import Floats


class DareTies(MergeMethod):
    """The random share of both changes, averaged where it agrees, times scale by density."""

    name = "dare-ties"
    order = 40
    title = "DARE-TIES"
    short = "DARE-TIES"
    help = "As dare, but averages the changes that agree with the elected sign, as ties does."
    parameters = Dare.parameters
    needs_base = True

    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """One pass; the random numbers are drawn beside it."""
        return ChunkMerge(("base", "instruct", "thinking"), partial(_start, values))

    def mergekit(self, values: Values) -> Mergekit:
        """``dare_ties`` with the paper's rescaling, normalised as TIES is."""
        return Mergekit(
            "dare_ties",
            model={"weight": 1.0, "density": values["density"]},
            shared={
                "rescale": False,
                "normalize": True,
                "lambda": values["scale"] / values["density"],
            },
            note=RANDOM,
        )


def _start(values: Values, tensor: Tensor) -> MergeChunk:
    import numpy as np

    from mi_tui.checkpoints.kernels.random_drop import Drop, seed_of
    from mi_tui.checkpoints.kernels.ties import merge_disjoint

    seed, density = int(values["seed"]), values["density"]
    drops = [Drop(seed_of(seed, role, tensor.name), density) for role in ("instruct", "thinking")]
    factor = np.float32(values["scale"] / density)

    def merge(chunk: "Sequence[Floats]") -> "Floats":
        base, *sources = chunk
        for source, drop in zip(sources, drops, strict=True):
            np.subtract(source, base, out=source)
            drop.apply(source)
        result = np.empty_like(base)
        merge_disjoint([(1.0, source) for source in sources], result)
        np.multiply(result, factor, out=result)
        return np.add(result, base, out=result)

    return merge


METHODS.register(DareTies())
