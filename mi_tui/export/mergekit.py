"""A recipe as a mergekit configuration, for people whose pipeline is mergekit.

Interpolation is written as ``task_arithmetic`` on the donor, in float32 with one rounding at
the end: mergekit's ``linear`` would take config and tokenizer from either model. mergekit's
filters match substrings, so every scope is checked against the checkpoint's own tensor names.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import Location, locate
from mi_tui.checkpoints.roles import role_of
from mi_tui.paths import expanded, is_directory
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Method, Recipe

Filters = list[tuple[str, float]]


def mergekit_yaml(
    recipe: Recipe,
    pair: Pair,
    *,
    tensor_names: Iterable[str] | None = None,
    out_dtype: str = "bfloat16",
) -> str:
    """The YAML that makes mergekit write the same model.

    Args:
        recipe: any recipe; its decoding has no place in mergekit.
        pair: the checkpoints; the donor becomes mergekit's base model.
        tensor_names: the donor's tensor names, needed for a scope or rules; read from the
            donor's headers unless given.
        out_dtype: the dtype mergekit writes.

    Returns:
        The configuration, equal to our merge within one rounding step of ``out_dtype``.

    Raises:
        CheckpointError: a baseline lacks its base model, or a scope cannot be expressed.
    """
    pair = pair.of(recipe)
    if recipe.method is not Method.INTERPOLATION:
        return _baseline(recipe, pair, out_dtype)
    donor, other = _sides(pair)
    if recipe.lambda_ is not None and recipe.is_uniform:
        weight = _number(_weight(recipe.lambda_, pair))
    else:
        names = tensor_names if tensor_names is not None else _names_of(pair)
        weights = {name: _weight(_lambda(recipe, name), pair) for name in names}
        filters, default = _filters(weights)
        lines = [
            f"        - filter: {_text(name)}\n          value: {_number(w)}" for name, w in filters
        ]
        weight = "\n" + "\n".join([*lines, f"        - value: {_number(default)}"])
    return "\n".join(
        [
            f"# {recipe.label}: W = λ · Thinking + (1 − λ) · Instruct, written by mi-tui",
            "merge_method: task_arithmetic",
            f"base_model: {_text(donor)}",
            "models:",
            f"  - model: {_text(other)}",
            "    parameters:",
            f"      weight:{weight if weight.startswith(chr(10)) else ' ' + weight}",
            "dtype: float32",
            f"out_dtype: {out_dtype}",
            "",
        ]
    )


def _baseline(recipe: Recipe, pair: Pair, out_dtype: str) -> str:
    if pair.base is None:
        raise CheckpointError(f"{recipe.label} needs a base model: name one in the pair")
    donor, _ = _sides(pair)
    scale = _number(recipe.scale or 0.0)
    ties = recipe.method is Method.TIES
    parameters = [f"      weight: {1.0 if ties else scale}"]
    if recipe.density is not None:
        parameters.append(f"      density: {_number(recipe.density)}")
    models = [
        line
        for side in (pair.instruct, pair.thinking)
        for line in (f"  - model: {_text(_reference(side))}", "    parameters:", *parameters)
    ]
    shared = ["parameters:", "  normalize: true", f"  lambda: {scale}"] if ties else []
    return "\n".join(
        [
            f"# {recipe.label}, written by mi-tui. mergekit takes config and tokenizer",
            f"# from the base model: copy those of {donor} over them.",
            f"merge_method: {'ties' if ties else 'task_arithmetic'}",
            f"base_model: {_text(_reference(pair.base))}",
            "models:",
            *models,
            *shared,
            "dtype: float32",
            f"out_dtype: {out_dtype}",
            "",
        ]
    )


def _sides(pair: Pair) -> tuple[str, str]:
    """The donor's reference and the other side's."""
    sides = (_reference(pair.instruct), _reference(pair.thinking))
    return sides if pair.donor == "instruct" else (sides[1], sides[0])


def _reference(reference: str) -> str:
    """What mergekit can open: bundled checkpoints by their directory, others as they are."""
    if reference.startswith("bundled:") or is_directory(expanded(reference)):
        return str(locate(reference).path)
    return reference


def _names_of(pair: Pair) -> Iterable[str]:
    location: Location = locate(pair.instruct if pair.donor == "instruct" else pair.thinking)
    return inspect(location).tensors


def _lambda(recipe: Recipe, name: str) -> float:
    role = role_of(name)
    return recipe.lambda_at(role.layer, role.kind)


def _weight(lambda_: float, pair: Pair) -> float:
    """The other side's weight against the donor."""
    return lambda_ if pair.donor == "instruct" else round(1.0 - lambda_, 9)


def _filters(weights: Mapping[str, float]) -> tuple[Filters, float]:
    """Substrings that give each tensor its weight: the first one found in its name counts.

    Whole layers of one weight are written as one line, all else by full name.

    Raises:
        CheckpointError: one tensor's name is part of another's, so that no filter tells them
            apart.
    """
    default = Counter(weights.values()).most_common(1)[0][0]
    layers: dict[str, set[float]] = {}
    for name, weight in weights.items():
        layers.setdefault(_layer_text(name), set()).add(weight)
    filters: dict[str, float] = {}
    for name, weight in weights.items():
        layer = _layer_text(name)
        key = layer if layer and len(layers[layer]) == 1 else name
        if weight != default:
            filters[key] = weight
    listed = list(filters.items())
    for name, weight in weights.items():
        if next((w for text, w in listed if text in name), default) != weight:
            raise CheckpointError(
                f"this scope cannot be expressed in mergekit, whose filters match parts of names "
                f"({name}): export the merged checkpoint instead"
            )
    return listed, default


def _layer_text(name: str) -> str:
    """The part of a name that stands for its layer, dots included; empty outside the layers."""
    layer = role_of(name).layer
    if layer is None:
        return ""
    head, found, _ = name.partition(f".{layer}.")
    return head.rpartition(".")[2] + found if found else ""


def _number(value: float) -> str:
    return f"{value:.9g}"


def _text(value: str) -> str:
    """A YAML string; JSON's quoting is valid YAML."""
    return json.dumps(value, ensure_ascii=False)
