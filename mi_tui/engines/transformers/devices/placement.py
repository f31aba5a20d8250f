"""Placement of a pair in memory, and the strategy that follows from it.

One decision for the preflight, which asks before anything is loaded, and for the engine: pure
functions of sizes in bytes, without torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mi_tui.engines.protocol import EngineError
from mi_tui.text.sizes import in_bytes

_FOR_WEIGHTS = 0.7
"""The share of free memory that weights may take; the rest is for keys, values and activations."""

_FOR_ONE_MODEL = 0.9
"""The share that a single model may take where nothing else of the pair lies beside it."""

_FOR_SPLIT_WEIGHTS = 0.8
"""The same for each of the GPUs that share out one model's layers."""

FOR_CACHE = 0.9
"""The share of what weights leave free that the KV cache may take; the rest is for a pass."""

_MOST_ROWS = {"cpu": 128, "cuda": 256}
_MOST_ROWS_LARGE = {"cpu": 32}
SMALL_MODEL = 256 << 20
"""Bytes of weights up to which a CPU is bound by the cost of each operation, not by its size."""

_IN_PLACE_MODELS = 3
_ONE_PASS_MODELS = 4
_ONE_PASS_MODELS_ON_CPU = 2


@dataclass(frozen=True, slots=True)
class Room:
    """Free bytes of each GPU, and of main memory.

    ``unified``: the GPUs use main memory, so that what lies in one place takes from the other.
    """

    gpus: tuple[int, ...]
    host: int
    unified: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """What fits on the device beside the model that generates.

    ``pair_tensors`` are both checkpoints' tensors; without them there, λ is switched from host
    memory, ``pinned`` where that holds both, else memory-mapped from the files. ``gpus`` is the
    number of GPUs that share out the layers. ``words`` says all of it, and what it takes, in one
    line; ``reason`` says why one pass is not possible, and is empty when it is.
    """

    pair_tensors: bool
    one_pass: bool
    words: str
    pinned: bool = False
    gpus: int = 1
    reason: str = ""


def most_rows(kind: str, model_bytes: int) -> int:
    """How many sequences are generated at once at most, however much memory there is.

    Args:
        kind: of the device, as torch calls it: ``cpu`` or ``cuda``.
        model_bytes: the size of the weights.
    """
    most = _MOST_ROWS.get(kind, 64)
    large = model_bytes > SMALL_MODEL
    return min(most, _MOST_ROWS_LARGE.get(kind, most)) if large else most


def place_pair(
    model_bytes: int, device: str, room: Room, *, one_pass: bool = True, row: int = 0
) -> Placement:
    """Decide where one engine process puts a pair that is read, or will be.

    Args:
        model_bytes: the size of one model in the dtype it is used in.
        device: as torch writes it: ``cpu``, ``cuda`` (all GPUs if one is too small), ``cuda:N``.
        room: what is free beside what reading the pair takes.
        one_pass: whether one pass is wanted where it fits.
        row: bytes of KV cache of the longest response, for which room is left where it can be.

    Raises:
        EngineError: not even one model fits, or the device is not there.
    """
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return place_on_cpu(model_bytes, room.host, one_pass=one_pass, row=row)
    if kind != "cuda":
        return place(model_bytes, room.host, room.host, one_pass=one_pass, row=row)
    at = int(number) if number.isdecimal() else 0
    if at >= len(room.gpus):
        raise EngineError(f"device {device!r} cannot be used here: write auto, cpu, cuda or cuda:N")
    if not number and len(room.gpus) > 1 and needs_several(model_bytes, room.gpus[at]):
        return place_over(room.gpus, model_bytes, room.host)
    # Where there is but one memory, a pinned copy would take what the model needs.
    host = 0 if room.unified else room.host
    return place(model_bytes, room.gpus[at], host, one_pass=one_pass, row=row)


def place(
    model_bytes: int, free: int, host_free: int, *, one_pass: bool = True, row: int = 0
) -> Placement:
    """Decide from sizes in bytes: one model, and what is free on the device and on the host.

    In place takes three models there (the merged one and both checkpoints), one pass a fourth
    (Δ). Less is put there where that leaves room for the longest response, which takes ``row``.

    Raises:
        EngineError: not even one model fits.
    """
    room, room_for_one = int(_FOR_WEIGHTS * free), int(_FOR_ONE_MODEL * free)
    needed = _ONE_PASS_MODELS * model_bytes
    if one_pass and needed <= room and _leaves(free - needed - packed_copy(model_bytes), row):
        words = f"one pass with both sides in memory (needs {_of(needed, room)} on the GPU)"
        return Placement(True, True, words)
    reason = _no_one_pass(needed, room) if one_pass else ""
    needed = _IN_PLACE_MODELS * model_bytes
    if needed <= room and _leaves(free - needed, row):
        words = _in_place(", both sides on the GPU", _of(needed, room), reason)
        return Placement(True, False, words, reason=reason)
    if needs_several(model_bytes, free):
        raise _too_large(model_bytes, room_for_one, "on the GPU")
    pinned = _holds_both(model_bytes, host_free)
    words = _in_place(f", {_sides(pinned)}", f"{_of(model_bytes, room_for_one)} on the GPU", reason)
    return Placement(False, False, words, pinned, reason=reason)


def needs_several(model_bytes: int, free: int) -> bool:
    """Whether a model is too large for a device with so many bytes free."""
    return model_bytes > _FOR_ONE_MODEL * free


def place_over(gpus: Sequence[int], model_bytes: int, host_free: int) -> Placement:
    """The placement of a model whose layers are shared out over GPUs with so many bytes free.

    Raises:
        EngineError: all of them together are too small.
    """
    room = int(_FOR_SPLIT_WEIGHTS * sum(gpus))
    if model_bytes > room:
        raise _too_large(model_bytes, room, f"on {len(gpus)} GPUs together")
    pinned = _holds_both(model_bytes, host_free)
    reason = f"the model is spread over {len(gpus)} GPUs"
    words = f"in place, layers split over {len(gpus)} GPUs, {_sides(pinned)}"
    words += f" (needs {_of(model_bytes, room)})"
    return Placement(False, False, words, pinned, len(gpus), reason)


def place_on_cpu(model_bytes: int, free: int, *, one_pass: bool = True, row: int = 0) -> Placement:
    """Decide from sizes in bytes: one model, and what memory is free once the pair is read.

    The pair itself lies in memory-mapped files where it is used in the files' own dtype, and
    takes memory of its own where not. Beside it, in place takes one model and one pass two.

    Raises:
        EngineError: not even one model fits.
    """
    room, room_for_one = int(_FOR_WEIGHTS * free), int(_FOR_ONE_MODEL * free)
    needed = _ONE_PASS_MODELS_ON_CPU * model_bytes
    if one_pass and needed <= room and _leaves(free - needed - packed_copy(model_bytes), row):
        words = f"one pass on the CPU (needs {_of(needed, room)} beside the pair)"
        return Placement(True, True, words)
    reason = _no_one_pass(needed, room) if one_pass else ""
    if model_bytes <= room_for_one:
        words = _in_place(
            " on the CPU", f"{_of(model_bytes, room_for_one)} beside the pair", reason
        )
        return Placement(True, False, words, reason=reason)
    raise _too_large(model_bytes, room_for_one, "in main memory beside the pair")


def packed_copy(model_bytes: int) -> int:
    """Bytes of a second copy of the weights that one pass makes.

    A small model's weights lie beside Δ once more, so that both are one product.
    """
    return model_bytes if model_bytes <= SMALL_MODEL else 0


def _leaves(left: int, row: int) -> bool:
    """Whether what weights leave is enough for the longest response."""
    return row <= FOR_CACHE * left


def _no_one_pass(needed: int, room: int) -> str:
    if needed <= room:
        return "one pass leaves no room for the longest response"
    return f"one pass needs {_of(needed, room)}"


def _holds_both(model_bytes: int, host_free: int) -> bool:
    return 2 * model_bytes <= int(_FOR_WEIGHTS * host_free)


def _sides(pinned: bool) -> str:
    return "both sides in main memory" if pinned else "both sides mapped from disk"


def _in_place(where: str, needs: str, reason: str) -> str:
    return f"in place{where} (needs {needs}{'; ' if reason else ''}{reason})"


def _of(needed: int, room: int) -> str:
    return f"{in_bytes(needed)} of {in_bytes(room)}"


def _too_large(model_bytes: int, room: int, where: str) -> EngineError:
    return EngineError(
        f"does not fit: one model takes {in_bytes(model_bytes)}, and {in_bytes(room)} are free "
        f"for it {where}: choose a smaller dtype, device cpu, more GPUs or the vllm engine"
    )
