"""The code of others that a preset would run, and the consent that a study needs."""

from contextlib import suppress

from mi_tui.checkpoints.checks.remote_code import remote_code
from mi_tui.checkpoints.locate import locate
from mi_tui.errors import MiTuiError
from mi_tui.paths import expanded, is_directory
from mi_tui.plan.preset import Preset
from mi_tui.plan.remote_code import RemoteCode, allow, require_allowed
from mi_tui.probes.probe_kind import kind_of


def codes_of(preset: Preset, *, wanted: bool = False) -> tuple[RemoteCode, ...]:
    """All code that the preset would run: of its checkpoints, where it asks for that, and tasks.

    Args:
        preset: what would be run.
        wanted: take its checkpoints' code as asked for, whatever the preset says.

    Raises:
        CheckpointError: a checkpoint cannot be found, or its code cannot be read.
        ProbeError: a task's file cannot be found.
    """
    found = checkpoint_codes(preset) if wanted or preset.pair.trust_remote_code else ()
    tasks = (kind_of(plan.kind).remote_code(plan) for plan in preset.probes)
    return (*found, *(code for code in tasks if code is not None))


def checkpoint_codes(preset: Preset) -> tuple[RemoteCode, ...]:
    """The code of every checkpoint that a preset names.

    Raises:
        CheckpointError: as :func:`codes_of`.
    """
    pair = preset.pair
    named = [pair.instruct, pair.thinking, pair.base]
    named += [name for recipe in preset.recipes for name in (recipe.backbone, recipe.base)]
    references = dict.fromkeys(name for name in named if name)
    found = (remote_code(locate(reference, weights=False)) for reference in references)
    return tuple(dict.fromkeys(code for code in found if code is not None))


def codes_here(preset: Preset) -> tuple[RemoteCode, ...]:
    """As :func:`codes_of`, but only what lies on this machine; nothing is fetched or raised."""
    found = []
    pair = preset.pair
    references = {pair.instruct, pair.thinking, pair.base} if pair.trust_remote_code else set()
    for reference in sorted(name for name in references if name):
        if is_directory(expanded(reference)):
            with suppress(MiTuiError):
                found.append(remote_code(locate(reference, weights=False)))
    for plan in preset.probes:
        with suppress(MiTuiError):
            found.append(kind_of(plan.kind).remote_code(plan))
    return tuple(dict.fromkeys(code for code in found if code is not None))


def require_consent(preset: Preset) -> None:
    """Refuse a preset that would run code which the user has not allowed.

    Raises:
        RemoteCodeError: which code, and how it is allowed.
        CheckpointError, ProbeError: as :func:`codes_of`.
    """
    require_allowed(codes_of(preset))


def with_consent(preset: Preset) -> Preset:
    """The preset as the user lets it run: all code it would run is allowed from now on.

    A preset that does not ask for its checkpoints' code asks for it from here on, if there is any.

    Raises:
        MiTuiError: the consent cannot be kept.
        CheckpointError, ProbeError: as :func:`codes_of`.
    """
    allow(codes_of(preset, wanted=True))
    if not preset.pair.trust_remote_code and checkpoint_codes(preset):
        pair = preset.pair.model_copy(update={"trust_remote_code": True})
        return preset.model_copy(update={"pair": pair})
    return preset
