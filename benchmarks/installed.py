"""The package as it is once installed, for what is timed from its start."""

import compileall
from pathlib import Path

import mi_tui


def compile_package() -> None:
    """Compile the package's modules to bytecode, as pip does when it installs them.

    From a checkout each start would compile them anew where ``PYTHONDONTWRITEBYTECODE`` is set.
    """
    compileall.compile_dir(Path(mi_tui.__file__).parent, quiet=1)
