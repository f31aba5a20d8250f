"""A merged checkpoint as a transformers model, without being written: its tensors and config."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig
from transformers.utils.logging import disable_progress_bar

from mi_tui.checkpoints.checks.extra_tensors import is_extra
from mi_tui.checkpoints.checks.remote_code import require_trust
from mi_tui.checkpoints.merging.in_memory import tensors_of
from mi_tui.checkpoints.merging.plan import MergePlan
from mi_tui.checkpoints.merging.tensor_plan import TensorPlan
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.model.attention import ATTENTION
from mi_tui.engines.transformers.model.meta_model import (
    UnknownModelError,
    forget_quantisation,
    model_class,
)
from mi_tui.engines.transformers.model.tensor_names import files_names


@dataclass(frozen=True, slots=True)
class MergedModel:
    """A causal language model on the CPU, and the files' tensors that each of its own is made of.

    ``sources`` has an entry for each parameter and persistent buffer that is loaded.
    """

    model: Any
    sources: Mapping[str, tuple[TensorPlan, ...]]


def load_merged(
    plan: MergePlan, dtype: torch.dtype, *, trust_remote_code: bool = False
) -> MergedModel:
    """What plain transformers would load from the merged checkpoint that a plan describes.

    Tensors that are one source's bytes in this dtype stay mapped from its file.

    Args:
        plan: what is merged.
        dtype: of the model.
        trust_remote_code: whether Python code of the donor is wanted to load it.

    Raises:
        CheckpointError: a source cannot be read, or integer tensors differ.
        RemoteCodeError: the donor's code is wanted, and the user has not allowed it.
        EngineError: transformers cannot build the model, or its tensors are not those of the plan.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
    where = plan.donor.info.location
    trust = require_trust(where, trust_remote_code)
    try:
        config = _config(plan, trust)
        model, info = model_class(config, trust=trust).from_pretrained(
            None,
            config=config,
            state_dict=dict(tensors_of(plan)),
            dtype=dtype,
            attn_implementation=ATTENTION,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except UnknownModelError as error:
        raise EngineError(f"{where}: {error}") from error
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise EngineError(f"{where}: transformers cannot load the model: {error}") from error
    _require_all(plan, info)
    model.eval()
    model.requires_grad_(False)
    by_name = {tensor.name: tensor for tensor in plan.tensors}
    made_of = files_names(model, by_name)
    sources = {name: tuple(by_name[one] for one in names) for name, names in made_of.items()}
    return MergedModel(model, sources)


def _config(plan: MergePlan, trust: bool) -> Any:
    config = AutoConfig.from_pretrained(plan.donor.info.location.path, trust_remote_code=trust)
    # What is stored quantised is read as plain weights.
    forget_quantisation(config)
    if plan.unties_head:
        config.tie_word_embeddings = False
        config.get_text_config().tie_word_embeddings = False
    return config


def _require_all(plan: MergePlan, info: Mapping[str, Any]) -> None:
    """Refuse a model of which a tensor is random, left over, or of another shape.

    Raises:
        EngineError: with the tensors' names.
    """
    text_config = plan.donor.info.text_config
    said = {
        "not in the checkpoints, and would be random": map(str, info["missing_keys"]),
        "not part of the model": (
            n for n in info["unexpected_keys"] if not is_extra(n, text_config)
        ),
        "of another shape than the config says": (
            str(entry[0] if isinstance(entry, tuple) else entry)
            for entry in info["mismatched_keys"]
        ),
        "not as transformers converts them": map(str, info.get("conversion_errors") or ()),
    }
    for words, found in said.items():
        names = sorted(found)
        if names:
            few = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise EngineError(
                f"{plan.donor.info.location}: {few}: {words}: "
                "take the config.json that belongs to the weights"
            )
