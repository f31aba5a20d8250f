"""Pairs that vLLM cannot mix request by request, known by the names of their tensors.

The loader in vLLM's workers decides; this says what is known before anything is loaded.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mi_tui.checkpoints.inspect import CheckpointInfo

_PARTS = {
    "experts": re.compile(r"\.experts\."),
    "multi-head latent attention": re.compile(r"\.kv_a_proj_with_mqa\."),
    "state-space layers": re.compile(r"\.(A_log|ssm_[a-z]+|conv1d\.weight)$"),
}
"""What vLLM computes in one kernel of its own, by the tensors that it has."""


def unmixable(*infos: CheckpointInfo) -> str:
    """What of a pair cannot be mixed request by request, in words; empty where nothing is known.

    Args:
        infos: both sides, of which the headers suffice.
    """
    for info in infos:
        if said := info.dequantised or info.left_over_quantisation or info.quantisation:
            return f"{info} is {said}"
        if found := _part(info.tensors):
            return f"its {found}"
    return ""


def _part(names: Iterable[str]) -> str:
    listed = list(names)
    found = (part for part, known in _PARTS.items() if any(map(known.search, listed)))
    return next(found, "")


def unknown_to_vllm(*infos: CheckpointInfo) -> str:
    """Why the installed vLLM has no model of its own for a pair, in words; empty where it has.

    Its list of architectures is read as text: importing vLLM takes many seconds.
    """
    listed = _registry_text()
    for info in infos:
        if listed and f'"{info.architecture}"' not in listed:
            return f"vLLM has no model for {info.architecture}"
    return ""


@cache
def _registry_text() -> str:
    """The source of vLLM's registry of models; empty where there is none."""
    found = find_spec("vllm")
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / "model_executor" / "models" / "registry.py"
        with suppress(OSError, UnicodeDecodeError):
            return file.read_text(encoding="utf-8")
    return ""
