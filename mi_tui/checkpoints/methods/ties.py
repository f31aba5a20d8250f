"""TIES (Yadav et al., arXiv 2306.01708): trim the changes, elect a sign, merge what agrees."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mi_tui.plan.method import (
    METHODS,
    ChunkMerge,
    MergeChunk,
    Mergekit,
    MergeMethod,
    Parameter,
    Role,
    Sum,
    Tensor,
    Values,
)

if TYPE_CHECKING:
    from mi_tui.checkpoints.kernels.numpy_kernel import Floats


class Ties(MergeMethod):
    """The changes trimmed to their largest share, averaged where they agree, times scale."""

    name = "ties"
    order = 20
    title = "TIES"
    short = "TIES"
    help = "Trims both changes, elects a sign for each weight, averages what agrees, times scale."
    parameters = (
        Parameter("scale", "factor of the merged change", 0.0, 2.0, paper=0.5),
        Parameter("density", "share of each change that is kept", 0.0, 1.0, paper=0.2),
    )
    needs_base = True
    in_paper = True

    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """Two passes over each change find its limit, a third merges."""
        return ChunkMerge(("base", "instruct", "thinking"), partial(_start, values))

    def mergekit(self, values: Values) -> Mergekit:
        """mergekit's method of the same name, normalised."""
        return Mergekit(
            "ties",
            model={"weight": 1.0, "density": values["density"]},
            shared={"normalize": True, "lambda": values["scale"]},
        )


def _start(values: Values, tensor: Tensor) -> MergeChunk:
    import numpy as np

    from mi_tui.checkpoints.kernels.ties import find_trim, merge_disjoint

    def changes(role: Role) -> "Iterator[Floats]":
        for base, source in tensor.chunks("base", role):
            yield np.subtract(source, base, out=source)

    trims = [
        find_trim(partial(changes, role), tensor.count, values["density"])
        for role in ("instruct", "thinking")
    ]
    scale = np.float32(values["scale"])

    def merge(chunk: "Sequence[Floats]") -> "Floats":
        base, *sources = chunk
        deltas = []
        for source, trim in zip(sources, trims, strict=True):
            np.subtract(source, base, out=source)
            trim.apply(source)
            deltas.append((1.0, source))
        result = np.empty_like(base)
        merge_disjoint(deltas, result)
        np.multiply(result, scale, out=result)
        return np.add(result, base, out=result)

    return merge


METHODS.register(Ties())
