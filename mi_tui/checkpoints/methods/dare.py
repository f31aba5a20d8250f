"""DARE (Yu et al., arXiv 2311.03099): drop most of each change at random, rescale the rest."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mi_tui.plan.method import (
    METHODS,
    ChunkMerge,
    MergeChunk,
    Mergekit,
    MergeMethod,
    Parameter,
    Sum,
    Tensor,
    Values,
)

if TYPE_CHECKING:
    from mi_tui.checkpoints.kernels.numpy_kernel import Floats


class Dare(MergeMethod):
    """``base + scale · Σ drop(change) / density``: task arithmetic on changes made sparse."""

    name = "dare"
    order = 30
    title = "DARE"
    short = "DARE"
    help = "Keeps a random share of both changes, divides it by density, adds it times scale."
    parameters = (
        Parameter("scale", "factor of both changes", 0.0, 2.0, example=0.7),
        Parameter("density", "probability that a change is kept", 0.0, 1.0, example=0.2),
        Parameter(
            "seed",
            "of the random choice",
            0,
            2**32 - 1,
            includes_low=True,
            integer=True,
            default=0,
        ),
    )
    needs_base = True
    in_paper = True

    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """One pass; the random numbers are drawn beside it."""
        return ChunkMerge(("base", "instruct", "thinking"), partial(_start, values))

    def mergekit(self, values: Values) -> Mergekit:
        """``dare_linear`` with the paper's rescaling, which mergekit's own ``rescale`` is not."""
        return Mergekit(
            "dare_linear",
            model={"weight": values["scale"] / values["density"], "density": values["density"]},
            shared={"rescale": False},
            note=RANDOM,
        )


RANDOM = "mergekit draws random numbers in its own order: the choice differs from ours."


def _start(values: Values, tensor: Tensor) -> MergeChunk:
    import numpy as np

    from mi_tui.checkpoints.kernels.random_drop import Drop, seed_of

    seed, density = int(values["seed"]), values["density"]
    drops = [Drop(seed_of(seed, role, tensor.name), density) for role in ("instruct", "thinking")]
    weight = np.float32(values["scale"] / density)

    def merge(chunk: "Sequence[Floats]") -> "Floats":
        base, *sources = chunk
        for source, drop in zip(sources, drops, strict=True):
            np.subtract(source, base, out=source)
            drop.apply(source)
            np.multiply(source, weight, out=source)
        instruct, thinking = sources
        np.add(instruct, thinking, out=instruct)
        return np.add(instruct, base, out=instruct)

    return merge


METHODS.register(Dare())
