"""``python -m mi_tui`` is the ``mi-tui`` command."""

from mi_tui.cli.main import run

if __name__ == "__main__":
    run()
