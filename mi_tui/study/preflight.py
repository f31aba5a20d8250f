"""Refuse a study that cannot run before anything is downloaded, loaded or started."""

from collections.abc import Sequence

from mi_tui.checkpoints.compare import Finding, compare
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.layers import require_layers
from mi_tui.checkpoints.locate import locate
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import LambdaRule
from mi_tui.study.storage.errors import StudyError


def require_fit(preset: Preset) -> None:
    """Check a preset's pair and scopes, from headers and JSON alone.

    Raises:
        StudyError: the pair cannot be mixed; the message names the first reason.
        CheckpointError: a checkpoint cannot be found or read, or a scope names layers that
            the pair does not have.
    """
    pair = preset.pair
    references = [pair.instruct, pair.thinking, *([pair.base] if pair.base else [])]
    infos = [inspect(locate(reference, weights=False)) for reference in references]
    errors = compare(*infos, trust_remote_code=pair.trust_remote_code).errors
    _require_pair(errors, pair.instruct, pair.thinking)
    groups = tuple(LambdaRule(lambda_=1.0, layers=part) for part in preset.search.layer_groups)
    grouped = preset.recipe(1.0).model_copy(update={"rules": groups})
    for recipe in (grouped, *preset.recipes):
        require_layers(recipe, infos[1])
    named = {recipe.backbone or recipe.base for recipe in preset.recipes} - {None, *references}
    for reference in sorted(name for name in named if name):
        other = inspect(locate(reference, weights=False))
        _require_pair(compare(other, infos[1]).errors, reference, pair.thinking)


def _require_pair(errors: Sequence[Finding], first: str, second: str) -> None:
    if errors:
        more = f" (and {len(errors) - 1} more: mi-tui check)" if len(errors) > 1 else ""
        raise StudyError(
            f"{first} and {second} cannot be mixed: {errors[0].subject}: {errors[0].message}{more}"
        )
