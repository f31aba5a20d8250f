"""The shell script that serves the pair with λ per request."""

import shlex

from mi_tui.export.format import FORMATS, Clipboard, Subject, TextFormat


class ServeFormat(TextFormat):
    """A script that runs ``mi-tui serve``: on the exported preset, where that lies beside it."""

    name = "serve"
    title = "serve.sh"
    about = "a script that serves the pair with λ per request (mi-tui serve)"
    file_name = "serve.sh"
    order = 60
    of_weights = True
    executable = True
    clipboard = Clipboard("serve command", "serves the pair with λ per request", "copied-serve.txt")

    def text(self, subject: Subject) -> str:
        """The script; its arguments go on to ``mi-tui serve``."""
        from mi_tui.export.escaping import comment

        preset = shlex.quote(str(subject.path_of("preset")))
        return f"""#!/bin/sh
# {comment(subject.title)}: vLLM's own server, with λ per request.
# The efforts are those of [serve] in the exported preset, or else of the study.
set -eu
if [ -f {preset} ]; then
  exec mi-tui serve {preset} "$@"
fi
exec {_command(subject)} "$@"
"""

    def copied_text(self, subject: Subject) -> str:
        """The one line that serves the study."""
        return _command(subject) + "\n"


def _command(subject: Subject) -> str:
    study, budget = str(subject.view.path), subject.answer.budget.spec
    asked = subject.view.preset.budget.spec != budget
    words = ["mi-tui", "serve", study, *(["--budget", budget] if asked else [])]
    return shlex.join(words)


FORMATS.register(ServeFormat())
