"""Worker processes that are busy in a phase of the test's choice, as a library would be."""

import os
import textwrap
from pathlib import Path

_PATCH = """
    import hashlib, importlib.abc, importlib.machinery, os, sys
    from pathlib import Path

    TARGET, FUNCTION, MARK = {target!r}, {function!r}, {mark!r}

    def busy(*_, **__):
        Path(MARK).touch()
        while True:  # C code that hears no signal before it returns, minutes later
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name != TARGET:
                return None
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                *owners, last = FUNCTION.split(".")
                owner = module
                for each in owners:
                    owner = getattr(owner, each)
                setattr(owner, last, busy)

            spec.loader.exec_module = exec_module
            return spec

    if "mi_tui.study.worker.supervisor" in sys.orig_argv:
        sys.meta_path.insert(0, Finder())
"""


def busy_in(folder: Path, where: str) -> tuple[dict[str, str], Path]:
    """Variables with which workers never return from a function, and the file that says so.

    Args:
        folder: receives the code that does it.
        where: ``module:function`` or ``module:class.method``.
    """
    target, _, function = where.partition(":")
    mark = folder / "reached"
    code = _PATCH.format(target=target, function=function, mark=str(mark))
    (folder / "sitecustomize.py").write_text(textwrap.dedent(code))
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path}, mark
