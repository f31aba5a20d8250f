"""The ``mi-tui`` command, also as ``python -m mi_tui``."""

import gc

from mi_tui.startup import imports_uncollected


def run() -> None:
    """Run the command, and start and end it quickly."""
    with imports_uncollected():
        from mi_tui.cli.main import run as run_command
    try:
        run_command()
    finally:
        # All memory goes with the process: what in it is garbage need not be found out first.
        gc.freeze()


if __name__ == "__main__":
    run()
