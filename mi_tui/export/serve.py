"""The commands that serve the exported checkpoint with the recipe's decoding."""

import shlex
from pathlib import Path

from mi_tui.plan.recipe import Decoding
from mi_tui.study.results import Recommendation


def serve_script(answer: Recommendation, checkpoint: Path) -> str:
    """A shell script that serves a checkpoint directory; one server is chosen by its argument.

    Sources: https://docs.vllm.ai (``vllm serve``) and
    https://huggingface.co/docs/transformers (``transformers serve``).
    """
    where = shlex.quote(str(checkpoint))
    name = shlex.quote(checkpoint.parent.name or "merged")
    decoding = answer.recipe.decoding
    return f"""#!/bin/sh
# {answer.recipe.label}: an OpenAI-compatible server for the merged checkpoint.
# {_in_words(decoding)}: the client sends it with every request.
set -eu
case "${{1:-vllm}}" in
  vllm) exec vllm serve {where} --served-model-name {name} ;;
  transformers) exec transformers serve {where} ;;
  *) echo "usage: $0 [vllm|transformers]" >&2; exit 2 ;;
esac
"""


def _in_words(decoding: Decoding) -> str:
    return f"Sample with {decoding}" if decoding.temperature else "Decode greedily"
