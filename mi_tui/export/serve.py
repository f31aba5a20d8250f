"""The commands that serve the exported checkpoint with the recipe's decoding."""

import shlex
from pathlib import Path

from mi_tui.analysis.results import Recommendation
from mi_tui.plan.recipe import Decoding


def serve_command(checkpoint: Path) -> str:
    """The one line that serves a checkpoint directory with vLLM."""
    where, name = shlex.quote(str(checkpoint)), shlex.quote(checkpoint.parent.name or "merged")
    return f"vllm serve {where} --served-model-name {name}"


def serve_script(answer: Recommendation, checkpoint: Path) -> str:
    """A shell script that serves a checkpoint directory; one server is chosen by its argument.

    Sources: https://docs.vllm.ai (``vllm serve``) and
    https://huggingface.co/docs/transformers (``transformers serve``).
    """
    where = shlex.quote(str(checkpoint))
    decoding = answer.recipe.decoding
    return f"""#!/bin/sh
# {answer.recipe.label}: an OpenAI-compatible server for the merged checkpoint.
# {_in_words(decoding)}: the client sends it with every request.
set -eu
case "${{1:-vllm}}" in
  vllm) exec {serve_command(checkpoint)} ;;
  transformers) exec transformers serve {where} ;;
  *) echo "usage: $0 [vllm|transformers]" >&2; exit 2 ;;
esac
"""


def _in_words(decoding: Decoding) -> str:
    return f"Sample with {decoding}" if decoding.temperature else "Decode greedily"
