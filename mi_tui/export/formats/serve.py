"""The shell script that serves the exported checkpoint."""

import shlex
from pathlib import Path

from mi_tui.export.format import FORMATS, Clipboard, Subject, TextFormat


class ServeFormat(TextFormat):
    """A script that starts an OpenAI-compatible server; its argument chooses which one."""

    name = "serve"
    title = "serve.sh"
    about = "a script that serves the merged checkpoint with vLLM or transformers"
    file_name = "serve.sh"
    order = 60
    of_weights = True
    executable = True
    clipboard = Clipboard(
        "serve command", "serves the merged checkpoint with vLLM", "copied-serve.txt"
    )

    def text(self, subject: Subject) -> str:
        """The script.

        Sources: https://docs.vllm.ai (``vllm serve``) and
        https://huggingface.co/docs/transformers (``transformers serve``).
        """
        from mi_tui.export.escaping import comment

        decoding = subject.answer.recipe.decoding
        how = f"Sample with {decoding}" if decoding.temperature else "Decode greedily"
        where = shlex.quote(str(subject.path_of("checkpoint")))
        return f"""#!/bin/sh
# {comment(subject.title)}: an OpenAI-compatible server for the merged checkpoint.
# {comment(how)}: the client sends it with every request.
set -eu
case "${{1:-vllm}}" in
  vllm) exec {_command(subject)} ;;
  transformers) exec transformers serve {where} ;;
  *) echo "usage: $0 [vllm|transformers]" >&2; exit 2 ;;
esac
"""

    def copied_text(self, subject: Subject) -> str:
        """The one line that serves the checkpoint with vLLM."""
        return _command(subject) + "\n"


def serve_command(checkpoint: Path, name: str) -> str:
    """The one line that serves a checkpoint directory with vLLM, under this name."""
    where, called = shlex.quote(str(checkpoint)), shlex.quote(name)
    return f"vllm serve {where} --served-model-name {called}"


def _command(subject: Subject) -> str:
    from mi_tui.export.escaping import slug

    return serve_command(subject.path_of("checkpoint"), slug(subject.title))


FORMATS.register(ServeFormat())
