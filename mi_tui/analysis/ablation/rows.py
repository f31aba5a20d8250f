"""The recipes of each kind of ablation, one for each part left out or changed."""

from enum import StrEnum
from itertools import pairwise

from mi_tui.plan.method import METHODS
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import (
    ALL_MODULES,
    DECODER_MODULES,
    LayerRange,
    ModuleKind,
    Modules,
    Scope,
    modules_of,
)

TEMPERATURES = (0.6, 0.65, 0.7)
TOP_PS = (0.8, 0.85, 0.9, 0.95)
"""The paper's decoding grid (arXiv 2510.10977, section 4.3)."""

_FFN: Modules = (ModuleKind.FFN, ModuleKind.ROUTER)
_ATTENTION: Modules = (ModuleKind.ATTENTION,)
_MIXER: Modules = (ModuleKind.MIXER,)


Part = tuple[LayerRange, ...]
"""Some of a model's layers."""


class AblationKind(StrEnum):
    """What is left out or changed: see :func:`ablation_rows`.

    ``LAYER_GROUPS`` is no fixed set of rows but a search for a λ of its own for each group, and
    ``TWO_KNOBS`` one for a λ of attention and a λ of the FFN.
    """

    LAYERS = "layers"
    MODULES = "modules"
    LAYERS_MODULES = "layers-modules"
    DECODING = "decoding"
    BASELINES = "baselines"
    LAYER_GROUPS = "layer-groups"
    TWO_KNOBS = "two-knobs"


def ablation_rows(
    kind: AblationKind, reference: Recipe, layers: int, present: Modules = DECODER_MODULES
) -> tuple[Recipe, ...]:
    """The recipes to compare with the reference, the full interpolation at its λ.

    Args:
        kind: ``LAYERS``: each third and each two thirds of the layers, the rest Instruct's.
            ``MODULES``: without each of attention, FFN, norms, embeddings and head; and
            attention alone, FFN alone. ``LAYERS_MODULES``: thirds of the layers by modules.
            ``DECODING``: temperature by top-p. ``BASELINES``: the other merge methods
            that the paper compares with.
            ``LAYER_GROUPS``, ``TWO_KNOBS``: none, as their rows come of their search.
        reference: the full interpolation.
        layers: how many layers the model has.
        present: the module kinds it has.
    """
    if kind is AblationKind.LAYERS:
        return tuple(in_layers(reference, part) for part in thirds(layers))
    if kind is AblationKind.MODULES:
        return tuple(_with_modules(reference, kept) for kept in _module_sets(present))
    if kind is AblationKind.LAYERS_MODULES:
        return _layers_by_modules(reference, layers, present)
    if kind is AblationKind.DECODING:
        rows = [_decoded(reference, t, p) for t in TEMPERATURES for p in TOP_PS]
        return tuple(row for row in rows if row != reference)
    if kind is AblationKind.BASELINES:
        return _baselines(reference)
    return ()


def thirds(layers: int) -> tuple[Part, ...]:
    """The thirds of the layers, then the first and the last two thirds; single layers below 3."""
    if layers < 3:
        return equal_groups(layers, layers)
    (first,), (second,), (third,) = equal_groups(layers, 3)
    return (
        (first,),
        (second,),
        (third,),
        (LayerRange(first=first.first, last=second.last),),
        (LayerRange(first=second.first, last=third.last),),
    )


def equal_groups(layers: int, groups: int) -> tuple[Part, ...]:
    """The layers in so many groups of consecutive layers, as even as can be; at most one each."""
    groups = min(groups, layers)
    bounds = [round(at * layers / groups) for at in range(groups + 1)]
    return tuple((LayerRange(first=begin, last=end - 1),) for begin, end in pairwise(bounds))


def in_layers(reference: Recipe, part: Part) -> Recipe:
    """The reference interpolated in some layers alone."""
    scope = reference.scope.model_copy(update={"layers": part})
    return reference.model_copy(update={"scope": scope})


def _with_modules(reference: Recipe, modules: Modules) -> Recipe:
    kept = tuple(kind for kind in ModuleKind if kind in modules)
    scope = reference.scope.model_copy(update={"modules": kept})
    return reference.model_copy(update={"scope": scope})


def _module_sets(present: Modules) -> tuple[Modules, ...]:
    """What stays in scope, row by row; what the model does not have counts as in scope."""
    outside = (ModuleKind.EMBEDDINGS, ModuleKind.HEAD)
    left_out = [
        tuple(kind for kind in kinds if kind in present)
        for kinds in (_ATTENTION, _MIXER, _FFN, (ModuleKind.NORMS,), outside)
    ]
    kinds = modules_of(present)
    without = [tuple(kind for kind in kinds if kind not in out) for out in left_out if out]
    return (*without, *_alone(present))


def _alone(present: Modules) -> tuple[Modules, ...]:
    """FFN alone, with its router where there is one, attention alone, and other mixers alone."""
    kinds = (_FFN, _ATTENTION, _MIXER)
    alone = (tuple(kind for kind in some if kind in present) for some in kinds)
    return tuple(some for some in alone if some)


def _layers_by_modules(reference: Recipe, layers: int, present: Modules) -> tuple[Recipe, ...]:
    rows = []
    for part in (None, *thirds(layers)[:3]):
        inside = reference if part is None else in_layers(reference, part)
        rows += [_with_modules(inside, kept) for kept in (ALL_MODULES, *_alone(present))]
    return tuple(row for row in rows if row != reference)


def _decoded(reference: Recipe, temperature: float, top_p: float) -> Recipe:
    decoding = Decoding(temperature=temperature, top_p=top_p, top_k=reference.decoding.top_k)
    return reference.model_copy(update={"decoding": decoding})


def _baselines(reference: Recipe) -> tuple[Recipe, ...]:
    """Each method that the paper compares with, at its suggested numbers and the same λ."""
    return tuple(
        Recipe(
            method=method.name,
            lambda_=reference.lambda_ if method.takes_lambda else None,
            decoding=reference.decoding,
            **{parameter.name: parameter.suggested for parameter in method.parameters},
        )
        for method in METHODS
        if method.in_paper
    )


def full_interpolation(lambda_: float, decoding: Decoding) -> Recipe:
    """The recipe that ablations are compared with."""
    return Recipe(lambda_=lambda_, scope=Scope(), decoding=decoding)
