"""The preset of an ablation, made from a finished study."""

from collections.abc import Sequence
from pathlib import Path

from mi_tui.analysis.ablation.rows import (
    AblationKind,
    Part,
    ablation_rows,
    equal_groups,
    full_interpolation,
    in_layers,
)
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.preset import Preset
from mi_tui.plan.quick import quick_preset
from mi_tui.plan.scope import ALL_MODULES, DECODER_MODULES, ModuleKind, Modules, Scope
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.view import StudyView

GROUPS = 4
"""How many layer groups get a λ of their own."""

HELD_OUT = 0.25
"""The share of held-out problems for layer groups or two knobs of a study that held out none."""

_NEAR = 0.1
_TITLE = 80


def from_study(
    study: StudyView | Path | str,
    kind: AblationKind | str,
    *,
    lambda_: float | None = None,
    layers: Sequence[Part] = (),
    quick: bool = False,
) -> Preset:
    """The preset of an ablation of a study at its recommended λ; nothing is generated.

    It reads the header of the Thinking checkpoint (a moment; a pair of the hub may need the
    network), so a screen calls it from a thread.

    Args:
        study: a picture of the study, its directory or its name.
        kind: which ablation.
        lambda_: the λ of the ablation, instead of the recommended one.
        layers: for ``layers`` the parts to interpolate, one row each, instead of thirds; for
            ``layer-groups`` the groups, instead of four even ones; the other kinds take none.
        quick: fewer problems and samples, for a first look.

    Raises:
        StudyError: there is no such study, it has no recommendation, or the kind does not fit.
        CheckpointError: the Thinking checkpoint cannot be read.
    """
    view = study if isinstance(study, StudyView) else _view(study)
    if lambda_ is None:
        if view.recommendation is None:
            raise StudyError(
                f"{view.name} has no recommendation yet: let it run on, or name a λ (--lambda)"
            )
        if not view.recommendation.recommended:
            raise StudyError(
                f"{view.name} recommends no λ, its probe is too hard: name one (--lambda)"
            )
        lambda_ = view.recommendation.lambda_
    info = inspect(locate(view.preset.pair.thinking, weights=False))
    last = max((part.last for group in layers for part in group), default=0)
    if last >= info.layers:
        raise StudyError(f"there is no layer {last}: the pair has layers 0-{info.layers - 1}")
    present = {role_of(name).kind for name in info.tensors}
    if kind == AblationKind.TWO_KNOBS and ModuleKind.FFN not in present:
        raise StudyError("two knobs need an FFN, and this pair has no tensor of one")
    found = ablation_of(
        view.preset,
        AblationKind(kind),
        lambda_,
        info.layers,
        tuple(module for module in ALL_MODULES if module in present),
        layers=layers,
    )
    return quick_preset(found) if quick else found


def ablation_of(
    preset: Preset,
    kind: AblationKind,
    lambda_: float,
    layer_count: int,
    present: Modules = DECODER_MODULES,
    *,
    layers: Sequence[Part] = (),
) -> Preset:
    """The preset of an ablation; pure, see :func:`from_study`.

    It has the study's pair, problems and samples, and other random numbers: the λ was chosen for
    what the old ones gave, which would flatter it. No problem is held out, as nothing is chosen,
    but for layer groups and two knobs, which are.

    Raises:
        StudyError: baselines without a base model, or layers where the kind takes none.
    """
    if kind is AblationKind.BASELINES and preset.pair.base is None:
        raise StudyError("the baselines need a base model: name one as base in the preset's pair")
    if layers and kind not in (AblationKind.LAYERS, AblationKind.LAYER_GROUPS):
        raise StudyError(f"an ablation of {kind} takes no layers: only layers, layer-groups do")
    reference = full_interpolation(lambda_, preset.decoding)
    rows = ablation_rows(kind, reference, layer_count, present)
    if kind is AblationKind.LAYERS and layers:
        rows = tuple(in_layers(reference, part) for part in layers)
    grid = {0.0, lambda_, 1.0}
    changed: dict[str, object] = {"refine": False, "seed": preset.search.seed + 1}
    probes = preset.probes
    if kind in (AblationKind.LAYER_GROUPS, AblationKind.TWO_KNOBS):
        grid |= {max(lambda_ - _NEAR, 0.0), min(lambda_ + _NEAR, 1.0)}
        if kind is AblationKind.LAYER_GROUPS:
            changed["layer_groups"] = tuple(layers) or equal_groups(layer_count, GROUPS)
        else:
            changed["two_knobs"] = True
        if all(probe.held_out == 0.0 for probe in probes):
            probes = tuple(p.model_copy(update={"held_out": HELD_OUT}) for p in probes)
    else:
        probes = tuple(probe.model_copy(update={"held_out": 0.0}) for probe in probes)
    search = preset.search.model_copy(
        update={**changed, "grid": tuple(sorted(round(value, 6) for value in grid))}
    )
    suffix = f" · {kind} at λ {lambda_:g}"
    return preset.model_copy(
        update={
            "title": preset.title[: _TITLE - len(suffix)].rstrip() + suffix,
            "description": f"Ablation of {kind} at λ = {lambda_:g}.",
            "group": "",
            "probes": probes,
            "scope": Scope(),
            "search": search,
            "recipes": rows,
        }
    )


def _view(study: Path | str) -> StudyView:
    with StudyReader(study) as reader:
        return reader.view()
