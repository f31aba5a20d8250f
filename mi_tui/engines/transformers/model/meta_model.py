"""Models without memory, on torch's ``meta`` device: built from a config, loaded from shapes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from mi_tui.checkpoints.roles import role_of
from mi_tui.engines.transformers.load_report import LoadReport
from mi_tui.engines.transformers.model.mixing_rule import why_no_one_pass
from mi_tui.engines.transformers.model.slot_support import why_no_slots
from mi_tui.engines.transformers.model.tensor_names import files_names
from mi_tui.plan.scope import ModuleKind

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


class UnknownModelError(Exception):
    """A config that no class of transformers belongs to."""


def model_class(config: Any, *, trust: bool = False) -> Any:
    """The class of transformers that a config's checkpoint is loaded with.

    With ``trust``, the class of the checkpoint's own code, where there is one; else the class that
    the config names, where transformers has it and it generates text; else the one
    that transformers chooses for a causal language model, or for images and text.

    Raises:
        UnknownModelError: there is none.
    """
    if trust and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        with torch.device("meta"):
            automatic: Any = AutoModelForCausalLM
            return type(automatic.from_config(config, trust_remote_code=True))
    if getattr(config, "auto_map", None) and type(config).__module__.startswith(
        "transformers_modules"
    ):
        # Code of the checkpoint's own, which only the automatic classes can find.
        return AutoModelForCausalLM
    for name in config.architectures or ():
        named = getattr(transformers, str(name), None)
        if isinstance(named, type) and issubclass(named, transformers.GenerationMixin):
            return named
    for auto in (AutoModelForCausalLM, AutoModelForImageTextToText):
        # A mapping of transformers', which gives it no types.
        mapping: Mapping[type, Any] = auto._model_mapping
        if type(config) in mapping:
            return mapping[type(config)]
    named = ", ".join(map(str, config.architectures or ())) or config.model_type
    raise UnknownModelError(f"this transformers ({transformers.__version__}) has no {named}")


def forget_quantisation(config: Any) -> None:
    """Take ``quantization_config`` out of a config and its parts: the weights are read as plain."""
    for part in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        if getattr(part, "quantization_config", None) is not None:
            del part.quantization_config


def load_on_meta(
    config: Any, tensors: Mapping[str, tuple[str, Sequence[int]]], *, trust: bool = False
) -> tuple[Any, Mapping[str, Any]]:
    """A model with a checkpoint's tensors as shapes, and transformers' loading information.

    Args:
        config: a config of transformers.
        tensors: dtype (as safetensors writes it) and shape by name.
        trust: whether a class of the checkpoint's own code may be imported.
    """
    state = {
        name: torch.empty(tuple(shape), dtype=_DTYPES.get(dtype, torch.uint8), device="meta")
        for name, (dtype, shape) in tensors.items()
    }
    model, info = model_class(config, trust=trust).from_pretrained(
        None,
        config=config,
        state_dict=state,
        device_map={"": "meta"},
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    return model, info


def report_on(
    folder: str,
    tensors: Mapping[str, tuple[str, Sequence[int]]],
    trust: bool,
    code: bool,
    equal: Collection[str] = (),
) -> LoadReport:
    """The load report of the checkpoint in a folder; see :class:`LoadReport`.

    ``equal`` are tensors of the files that are known to be the same on both sides of a pair.
    """
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it has no types
    if code and not trust:
        return LoadReport(unknown="it needs Python code of its own, which is not trusted")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust)
        forget_quantisation(config)
        settings = config.to_dict()
        model, info = load_on_meta(config, tensors, trust=trust)
    # Whatever a config makes transformers raise is the answer to the question.
    except Exception as error:
        words = " ".join(str(error).split())[:300] or type(error).__name__
        return LoadReport(problem=words)
    return LoadReport(
        model_class=type(model).__name__,
        missing=tuple(sorted(map(str, info["missing_keys"]))),
        unexpected=tuple(sorted(map(str, info["unexpected_keys"]))),
        mismatched=tuple(sorted(_mismatch(entry) for entry in info["mismatched_keys"])),
        settings=settings,
        no_one_pass=why_no_one_pass(model, _kind_of(model, tensors, frozenset(equal))),
        no_slots=why_no_slots(model),
    )


def _kind_of(
    model: Any, names: Iterable[str], equal: frozenset[str]
) -> Callable[[str], ModuleKind | None]:
    """The role that a tensor of the model has in the files; ``None`` where both sides are equal."""
    made_of = files_names(model, names)

    def kind_of(name: str) -> ModuleKind | None:
        made = made_of.get(name, ())
        return None if made and equal.issuperset(made) else role_of((*made, name)[0]).kind

    return kind_of


def _mismatch(entry: Any) -> str:
    """``name: [8, 4] in the file, [16, 4] in the model``."""
    if isinstance(entry, tuple) and len(entry) == 3:
        name, stored, wanted = entry
        return f"{name}: {list(stored)} in the file, {list(wanted)} in the model"
    return str(entry)
