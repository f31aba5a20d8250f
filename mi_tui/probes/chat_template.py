"""The chat template of a checkpoint, rendered without transformers.

It does what ``PreTrainedTokenizerBase.apply_chat_template`` does: the same files, the same
sandboxed Jinja environment and globals.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mi_tui.probes.errors import ProbeError

_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")


class _Generation(Extension):
    """The ``{% generation %}`` block, which only marks text for training."""

    tags = {"generation"}  # noqa: RUF012 - the attribute of jinja2's base class

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


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
        ProbeError: there is no template, or it refuses the messages.
    """
    config = _tokenizer_config(checkpoint)
    given: dict[str, Any] = {
        name: _token(config.get(name)) for name in _SPECIAL_TOKENS if config.get(name)
    }
    try:
        template = _environment().from_string(_template(checkpoint, config))
        given |= {"messages": list(messages), "add_generation_prompt": True}
        return template.render({**(arguments or {}), **given})
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ProbeError(f"{checkpoint}: the chat template failed: {error}") from error


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    # Jinja's own filter escapes for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _tokenizer_config(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "tokenizer_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ProbeError(f"cannot read {path}: {error}") from error
    return config if isinstance(config, dict) else {}


def _template(checkpoint: Path, config: dict[str, Any]) -> str:
    path = checkpoint / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry["name"]: entry["template"] for entry in template}
        template = named.get("default")
    if not isinstance(template, str):
        raise ProbeError(f"{checkpoint} has no chat template: choose the other side as donor")
    return template


def _token(value: Any) -> str:
    return str(value["content"]) if isinstance(value, dict) else str(value)
