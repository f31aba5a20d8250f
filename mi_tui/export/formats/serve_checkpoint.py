"""The shell script that serves the exported checkpoint."""

import json
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mi_tui.errors import MiTuiError
from mi_tui.export.format import FORMATS, Clipboard, Subject, TextFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mi_tui.plan.recipe import Decoding
    from mi_tui.plan.remote_code import RemoteCode

_RUNS = "it runs with your rights, as you have allowed"
_ASKED = "the server asks for --trust-remote-code, which runs it: read it first"


class ServeCheckpointFormat(TextFormat):
    """A script that starts an OpenAI-compatible server; its argument chooses which one."""

    name = "serve-checkpoint"
    title = "serve-checkpoint.sh"
    about = "a script that serves the merged checkpoint with vLLM or transformers"
    file_name = "serve-checkpoint.sh"
    order = 65
    of_weights = True
    executable = True
    clipboard = Clipboard(
        "serve checkpoint",
        "serves the merged checkpoint with vLLM",
        "copied-serve-checkpoint.txt",
    )

    def text(self, subject: Subject) -> str:
        """The script.

        Sources: https://docs.vllm.ai (``vllm serve``) and
        https://huggingface.co/docs/transformers (``transformers serve``).
        """
        from mi_tui.export.escaping import comment

        decoding = subject.answer.recipe.decoding
        how = f"Sampled with {decoding}" if decoding.temperature else "Decoded greedily"
        where = shlex.quote(str(subject.path_of("checkpoint")))
        template = _option("--chat-template-kwargs", _template(subject))
        code, flag = _code(subject), _flag(subject)
        about = f"# {comment(code.words)}: {_RUNS if flag else _ASKED}\n" if code else ""
        return f"""#!/bin/sh
# {comment(subject.title)}: an OpenAI-compatible server for the merged checkpoint.
# {comment(how)} unless a request says otherwise; transformers leaves that to the client.
{about}set -eu
case "${{1:-vllm}}" in
  vllm) exec {_command(subject)} ;;
  transformers) exec transformers serve {where}{template}{flag} ;;
  *) echo "usage: $0 [vllm|transformers]" >&2; exit 2 ;;
esac
"""

    def copied_text(self, subject: Subject) -> str:
        """The one line that serves the checkpoint with vLLM."""
        return _command(subject) + "\n"


def serve_command(
    checkpoint: Path,
    name: str,
    decoding: "Decoding | None" = None,
    template: "Mapping[str, Any] | None" = None,
) -> str:
    """The one line that serves a checkpoint directory with vLLM.

    Args:
        checkpoint: the directory.
        name: what the model is called there.
        decoding: how requests are sampled that do not say it themselves.
        template: what the chat template is given by default.
    """
    from mi_tui.engines.vllm.arguments import generation_defaults

    where, called = shlex.quote(str(checkpoint)), shlex.quote(name)
    defaults = generation_defaults(decoding) if decoding else {}
    return (
        f"vllm serve {where} --served-model-name {called}"
        f"{_option('--override-generation-config', defaults)}"
        f"{_option('--default-chat-template-kwargs', template or {})}"
    )


def _option(name: str, value: "Mapping[str, Any]") -> str:
    """An option with JSON behind it, quoted for a shell; nothing where there is nothing to say."""
    return f" {name} {shlex.quote(json.dumps(value))}" if value else ""


def _template(subject: Subject) -> "Mapping[str, Any]":
    return subject.view.preset.pair.chat_template_kwargs


def _command(subject: Subject) -> str:
    from mi_tui.export.escaping import slug

    command = serve_command(
        subject.path_of("checkpoint"),
        slug(subject.title),
        subject.answer.recipe.decoding,
        _template(subject),
    )
    return command + _flag(subject)


def _code(subject: Subject) -> "RemoteCode | None":
    """The donor's Python code, which a merged checkpoint brings too, where the preset asks for it;
    none where it cannot be looked at."""
    from mi_tui.checkpoints.checks.remote_code import remote_code
    from mi_tui.checkpoints.locate import locate

    pair = subject.view.preset.pair
    if pair.trust_remote_code:
        with suppress(MiTuiError):
            return remote_code(locate(pair.donor_reference, weights=False))
    return None


def _flag(subject: Subject) -> str:
    """The servers' flag, only for code that the user has allowed."""
    from mi_tui.plan.remote_code import FLAG, is_allowed

    code = _code(subject)
    return f" {FLAG}" if code is not None and is_allowed(code) else ""


FORMATS.register(ServeCheckpointFormat())
