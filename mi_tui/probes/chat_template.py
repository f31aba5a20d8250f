"""The chat template of a checkpoint, read from its files and rendered without transformers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.template_process import TemplateRenderer

_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")
_LARGEST = 1 << 24


def render_chat(
    checkpoint: Path,
    messages: Sequence[dict[str, str]],
    arguments: Mapping[str, Any] | None = None,
) -> str:
    """The prompt that the model sees: the template applied, the assistant's turn opened.

    Args:
        checkpoint: a folder with ``chat_template.jinja``, or ``tokenizer_config.json`` with a
            ``chat_template``.
        messages: roles and contents.
        arguments: what the template is given besides, such as ``enable_thinking``.

    Raises:
        ProbeError: there is no template, it refuses the messages, or it takes too much time or
            memory.
    """
    config = _tokenizer_config(checkpoint)
    tokens = {name: _token(config.get(name)) for name in _SPECIAL_TOKENS if config.get(name)}
    template = _template(checkpoint, config)
    try:
        with TemplateRenderer() as renderer:
            given = {**tokens, **(arguments or {}), **chat_variables(messages)}
            return renderer.render(template, given)
    except ProbeError as error:
        raise ProbeError(f"{checkpoint}: {error}") from error


def chat_variables(messages: Sequence[dict[str, str]]) -> dict[str, Any]:
    """What transformers gives every chat template, with the assistant's turn to be opened."""
    return {
        "messages": list(messages),
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
    }


def _tokenizer_config(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "tokenizer_config.json"
    try:
        config = json.loads(_text_of(path)) if path.exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ProbeError(f"cannot read {path}: {error}") from error
    return config if isinstance(config, dict) else {}


def _text_of(path: Path) -> str:
    # By its size: a read of at most so many bytes would set so much memory aside.
    if path.stat().st_size > _LARGEST:
        raise ValueError("it is far too large")
    return path.read_bytes().decode("utf-8")


def _template(checkpoint: Path, config: dict[str, Any]) -> str:
    path = checkpoint / "chat_template.jinja"
    if path.is_file():
        try:
            return _text_of(path)
        except (OSError, ValueError) as error:
            raise ProbeError(f"cannot read {path}: {error}") from error
    template = config.get("chat_template")
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, dict)]
        template = next((e.get("template") for e in named if e.get("name") == "default"), None)
    if not isinstance(template, str):
        raise ProbeError(f"{checkpoint} has no chat template: choose the other side as donor")
    return template


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value)
