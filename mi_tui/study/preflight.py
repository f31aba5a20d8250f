"""Refuse a study that cannot run before anything is downloaded, loaded or started."""

from mi_tui.checkpoints.compare import compare
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.layers import require_layers
from mi_tui.checkpoints.locate import locate
from mi_tui.plan.preset import Preset
from mi_tui.study.errors import StudyError


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
    if errors:
        more = f" (and {len(errors) - 1} more: mi-tui check)" if len(errors) > 1 else ""
        raise StudyError(
            f"{pair.instruct} and {pair.thinking} cannot be mixed: "
            f"{errors[0].subject}: {errors[0].message}{more}"
        )
    for recipe in (preset.recipe(1.0), *preset.recipes):
        require_layers(recipe, infos[1])
