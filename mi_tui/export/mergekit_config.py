"""A recipe as a mergekit configuration, for people whose pipeline is mergekit.

The method says what it is called there. Everything is computed in float32 and rounded once at
the end. Where the method takes λ, the donor becomes mergekit's base model, as mergekit takes
config and tokenizer from it. mergekit's filters match substrings, so every scope is checked
against the checkpoint's own tensor names.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.roles import role_of
from mi_tui.checkpoints.vocabulary import reused_ids
from mi_tui.export.escaping import comment, yaml_text
from mi_tui.paths import expanded, is_directory
from mi_tui.plan.method import Mergekit
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

Filters = list[tuple[str, float]]

_DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def mergekit_yaml(
    recipe: Recipe,
    pair: Pair,
    *,
    tensor_names: Iterable[str] | None = None,
    out_dtype: str | None = None,
) -> str:
    """The YAML that makes mergekit write the same model.

    Args:
        recipe: any recipe; its decoding has no place in mergekit.
        pair: the checkpoints; the donor becomes mergekit's base model.
        tensor_names: the donor's tensor names, needed for a scope or rules; read from the
            donor's headers unless given.
        out_dtype: the dtype mergekit writes; unless given that of our merge: the donor's.

    Returns:
        The configuration, equal to our merge within one rounding step of ``out_dtype``.

    Raises:
        CheckpointError: mergekit has no such method, the base model is missing, a scope cannot
            be expressed, or a checkpoint is quantised.
    """
    pair = pair.of(recipe)
    said = recipe.merge_method.mergekit(recipe.values)
    if said is None:
        raise CheckpointError(
            f"mergekit has no {recipe.merge_method.title}: export the merged checkpoint instead"
        )
    out_dtype = out_dtype or _dtype_of(pair)
    written = f"# {comment(recipe.label)}, written by mi-tui"
    head = [f"{written}: {said.note}" if said.note else written]
    head += _remarks(recipe, pair, out_dtype)
    if said.lambda_:
        base, other = (_reference(side) for side in pair.sides)
        models, shared = _along_lambda(recipe, pair, said, other, tensor_names)
    else:
        base = _base(recipe, pair)
        models, shared = _on_the_base(pair, said), _lines(said.shared, 1)
        head += [
            "# mergekit takes config and tokenizer from the base model: copy those of",
            f"# {comment(_reference(pair.donor_reference))} over them.",
        ]
    return "\n".join(
        [
            *head,
            f"merge_method: {said.method}",
            f"base_model: {yaml_text(base)}",
            "models:",
            *models,
            *(["parameters:", *shared] if shared else []),
            "dtype: float32",
            f"out_dtype: {out_dtype}",
            "",
        ]
    )


def _along_lambda(
    recipe: Recipe,
    pair: Pair,
    said: Mergekit,
    other: str,
    tensor_names: Iterable[str] | None,
) -> tuple[list[str], list[str]]:
    """The lines of the models and of the shared parameters where λ is the other side's weight."""
    model, shared = _lines(said.model, 3), _lines(said.shared, 1)
    if said.lambda_is_shared:
        shared += _weight_lines(recipe, pair, said.lambda_, tensor_names, 1)
    else:
        model += _weight_lines(recipe, pair, said.lambda_, tensor_names, 3)
    head = [f"  - model: {yaml_text(other)}"]
    return head + (["    parameters:", *model] if model else []), shared


def _weight_lines(
    recipe: Recipe, pair: Pair, name: str, tensor_names: Iterable[str] | None, depth: int
) -> list[str]:
    """The parameter that holds λ: one number, or a list of filters, first match counts."""
    indent = "  " * depth
    if recipe.lambda_ is not None and not recipe.rules and recipe.scope.is_full:
        return [f"{indent}{name}: {_number(_weight(recipe.lambda_, pair))}"]
    names = tensor_names if tensor_names is not None else _donor(pair).tensors
    filters, default = _filters({text: _weight(_lambda(recipe, text), pair) for text in names})
    lines = [f"{indent}{name}:"]
    for text, weight in filters:
        lines += [
            f"{indent}  - filter: {yaml_text(text)}",
            f"{indent}    value: {_number(weight)}",
        ]
    return [*lines, f"{indent}  - value: {_number(default)}"]


def _on_the_base(pair: Pair, said: Mergekit) -> list[str]:
    """The lines of the models whose changes are added to the base model."""
    parameters = _lines(said.model, 3)
    return [
        line
        for side in (pair.instruct, pair.thinking)
        for line in (
            f"  - model: {yaml_text(_reference(side))}",
            *(["    parameters:", *parameters] if parameters else []),
        )
    ]


def _base(recipe: Recipe, pair: Pair) -> str:
    if not recipe.merge_method.needs_base:
        return _reference(pair.donor_reference)
    if pair.base is None:
        raise CheckpointError(f"{recipe.label} needs a base model: name one in the pair")
    return _reference(pair.base)


def _lines(parameters: Mapping[str, float | bool], depth: int) -> list[str]:
    return [f"{'  ' * depth}{name}: {_number(value)}" for name, value in parameters.items()]


def _reference(reference: str) -> str:
    """What mergekit can open: bundled checkpoints by their directory, others as they are."""
    if reference.startswith("bundled:") or is_directory(expanded(reference)):
        return str(locate(reference).path)
    return reference


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


def _number(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.9g}"


def _remarks(recipe: Recipe, pair: Pair, out_dtype: str) -> list[str]:
    """Comments on where mergekit's result is not ours, or may not be.

    Raises:
        CheckpointError: one is quantised, whose numbers mergekit would mix without their scales.
    """
    remarks = []
    seen: dict[str, CheckpointInfo] = {}
    for role in recipe.merge_method.roles:
        reference = pair.reference(role)
        if reference is None:
            continue
        try:
            info = seen[role] = inspect(locate(reference, weights=False))
        except CheckpointError:
            remarks.append(
                f"# {comment(_reference(reference))} could not be looked at: it must not be "
                "quantised, which mergekit does not read."
            )
            continue
        if info.dequantised:
            raise CheckpointError(
                f"{info} is {info.dequantised}, and mergekit would leave out the scales: export "
                "the merged checkpoint instead"
            )
    donor = seen.get(pair.donor)
    return remarks if donor is None else [*remarks, *_differences(donor, seen, pair, out_dtype)]


def _differences(
    donor: CheckpointInfo, seen: Mapping[str, CheckpointInfo], pair: Pair, out_dtype: str
) -> Iterable[str]:
    """What our merge does with the donor's tensors that mergekit does not."""
    others = (info.tokenizer.vocabulary for info in seen.values())
    if reused := reused_ids(donor.tokenizer.vocabulary, others):
        few = ", ".join(map(str, reused[:3])) + (", …" if len(reused) > 3 else "")
        yield (
            f"# Token ids that mean another token on another side ({few}): mergekit mixes their "
            "rows of embedding and head, of which our merge keeps the donor's."
        )
    own = [t for t in donor.tensors.values() if _DTYPES.get(t.dtype, out_dtype) != out_dtype]
    if own:
        yield (
            f"# {comment(own[0].name)} and others ({len(own)} in all) have a dtype of their own, "
            f"which our merge keeps: mergekit writes {out_dtype}."
        )
    if pair.prediction_layers == "drop":
        yield "# Layers that predict further tokens are left out of our merge, not of mergekit's."


def _donor(pair: Pair) -> CheckpointInfo:
    """The donor's headers; its weights are not downloaded for them."""
    return inspect(locate(pair.donor_reference, weights=False))


def _dtype_of(pair: Pair) -> str:
    """The dtype of our merge: that of the donor's weights; of several the one most are in.

    Raises:
        CheckpointError: the donor cannot be read, or none of its weights can be mixed.
    """
    donor = _donor(pair)
    for dtype in donor.dtypes:
        if dtype in _DTYPES:
            return _DTYPES[dtype]
    raise CheckpointError(f"{donor.location} has no weights that can be mixed: check the pair")
