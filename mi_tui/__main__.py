"""The ``mi-tui`` command, also as ``python -m mi_tui``."""

from mi_tui.startup import imports_uncollected, leave_all_as_it_is


def run() -> None:
    """Run the command, and start and end it quickly."""
    with imports_uncollected():
        from mi_tui.cli.main import run as run_command
    try:
        run_command()
    finally:
        leave_all_as_it_is()


if __name__ == "__main__":
    run()
