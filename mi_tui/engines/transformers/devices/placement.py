"""Where the pair's tensors go: on the accelerator, pinned in host memory, or mapped from files."""

from dataclasses import dataclass

from mi_tui.engines.protocol import EngineError

_FOR_WEIGHTS = 0.7
"""The share of free memory that weights may take; the rest is for keys, values and activations."""

_IN_PLACE_MODELS = 3
_ONE_PASS_MODELS = 4


@dataclass(frozen=True, slots=True)
class Placement:
    """What fits on the device beside the model that generates.

    ``sources`` are both checkpoints' tensors; without them there, λ is switched from host memory,
    ``pinned`` where that holds both, else memory-mapped from the files. ``reason`` says why one
    pass is not possible, and is empty when it is.
    """

    sources: bool
    one_pass: bool
    pinned: bool = False
    reason: str = ""


def place(model_bytes: int, free: int, host_free: int) -> Placement:
    """Decide from sizes in bytes: one model, and what is free on the device and on the host.

    In place takes three models there (the merged one and both sources), one pass a fourth (Δ).

    Raises:
        EngineError: not even one model fits.
    """
    room = int(_FOR_WEIGHTS * free)
    if _ONE_PASS_MODELS * model_bytes <= room:
        return Placement(sources=True, one_pass=True)
    gib = 1 << 30
    reason = (
        f"one pass needs {_ONE_PASS_MODELS * model_bytes / gib:.1f} GiB on the device, "
        f"{room / gib:.1f} GiB are free for weights"
    )
    if _IN_PLACE_MODELS * model_bytes <= room:
        return Placement(sources=True, one_pass=False, reason=reason)
    if not needs_several(model_bytes, free):
        pinned = _holds_both(model_bytes, host_free)
        return Placement(sources=False, one_pass=False, pinned=pinned, reason=reason)
    raise EngineError(
        f"the model takes {model_bytes / gib:.1f} GiB and {free / gib:.1f} GiB are free on the "
        "device: choose a smaller dtype, device cpu or the vllm engine"
    )


def needs_several(model_bytes: int, free: int) -> bool:
    """Whether a model is too large for a device with so many bytes free."""
    return model_bytes > 0.9 * free


def place_over(devices: int, model_bytes: int, host_free: int) -> Placement:
    """The placement of a model that is spread over several devices."""
    return Placement(
        sources=False,
        one_pass=False,
        pinned=_holds_both(model_bytes, host_free),
        reason=f"the model is spread over {devices} GPUs",
    )


def _holds_both(model_bytes: int, host_free: int) -> bool:
    return 2 * model_bytes <= int(_FOR_WEIGHTS * host_free)


def place_on_cpu(model_bytes: int, free: int) -> Placement:
    """Decide from sizes in bytes: one model, and what memory is free once the pair is read.

    The pair itself lies in memory-mapped files where it is used in the files' own dtype, and
    takes memory of its own where not. Beside it, in place takes one model and one pass two.

    Raises:
        EngineError: not even one model fits.
    """
    gib = 1 << 30
    if 2 * model_bytes <= int(_FOR_WEIGHTS * free):
        return Placement(sources=True, one_pass=True)
    if model_bytes <= int(0.9 * free):
        reason = (
            f"one pass needs {2 * model_bytes / gib:.1f} GiB of memory beside the pair, "
            f"{int(_FOR_WEIGHTS * free) / gib:.1f} GiB are free for weights"
        )
        return Placement(sources=True, one_pass=False, reason=reason)
    raise EngineError(
        f"the model takes {model_bytes / gib:.1f} GiB and {free / gib:.1f} GiB of memory are free: "
        "choose a smaller dtype or another machine"
    )
