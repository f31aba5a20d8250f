"""The plain view of a checkpoint: its tensors as transformers' dequantised model has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mi_tui.checkpoints.headers import MIXABLE, TensorInfo
from mi_tui.checkpoints.quantisation.tensors import FORMATS, QuantisedTensor

_KEYS = ("quantization_config", "compression_config")
_PLAIN = MIXABLE | {"BOOL", "I64"}
_PACKED = frozenset({"U8", "I8", "U16", "I16", "U32", "I32"})
"""What GPTQ, AWQ, bitsandbytes and others pack weights into; no weights are plainly in these."""


@dataclass(frozen=True, slots=True)
class PlainView:
    """A checkpoint's tensors and config without quantisation.

    ``dequantised`` says what is read as bfloat16, and ``left_over`` names the method of a
    ``quantization_config`` over plain weights; both are then absent from ``config``. ``refused``
    names what cannot be read.
    """

    tensors: Mapping[str, TensorInfo] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    dequantised: str = ""
    left_over: str = ""
    refused: str = ""
    problems: tuple[str, ...] = ()


def plain_view(config: Mapping[str, Any], stored: Mapping[str, TensorInfo]) -> PlainView:
    """What the stored tensors stand for; reads names, dtypes and shapes only.

    The tensors decide: a config that names a method is believed only where packed weights are.
    """
    settings = quantisation_settings(config)
    replaced: dict[str, QuantisedTensor] = {}
    dropped: set[str] = set()
    words: list[str] = []
    problems: list[str] = []
    # Looking for installed formats takes time, which plain checkpoints need not.
    is_plain = all(tensor.dtype in _PLAIN for tensor in stored.values())
    for form in () if is_plain else FORMATS:
        found = form.find(stored, settings)
        replaced |= found.tensors
        dropped |= found.dropped
        problems += found.problems
        if found.words:
            words.append(found.words)
    tensors: dict[str, TensorInfo] = {}
    for name, tensor in stored.items():
        if name not in dropped:
            plain = replaced.get(name, tensor)
            tensors[plain.name] = plain
    if len(tensors) < len(stored) - len(dropped):
        problems.append("a tensor is stored both quantised and plain: download it again")
    method = str(settings.get("quant_method", "quantised")) if settings else ""
    refused = _refused(tensors, method)
    left_over = "" if words or refused else method
    return PlainView(
        tensors=tensors,
        config=without_quantisation(config) if words or left_over else config,
        dequantised=" and ".join(words),
        left_over=left_over,
        refused=refused,
        problems=tuple(problems),
    )


def quantisation_settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config's ``quantization_config``, its text part's included; empty where there is none."""
    nested = [value for key, value in config.items() if _is_part(key, value)]
    for table in (config, *nested):
        for key in _KEYS:
            settings = table.get(key)
            if isinstance(settings, dict) and settings:
                return settings
    return {}


def without_quantisation(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a config in which no part speaks of quantisation."""
    return {
        key: without_quantisation(value) if _is_part(key, value) else value
        for key, value in config.items()
        if key not in _KEYS
    }


def _is_part(key: str, value: Any) -> bool:
    return key.endswith("_config") and key not in _KEYS and isinstance(value, dict)


def _refused(tensors: Mapping[str, TensorInfo], method: str) -> str:
    """The method of weights that stay quantised; empty where all are plain."""
    for tensor in tensors.values():
        if tensor.dtype == "F4" or tensor.dtype.startswith(("F8_", "F6_")):
            return f"{method or tensor.dtype.lower()}: {tensor.name} has no scale that is known"
        if method and tensor.dtype in _PACKED:
            return method
    return ""
