"""The help and the completion of ``export --format``, from what the formats declare."""

from typing import Any

from mi_tui.cli.options import StudyCommand

# The formats are imported when help or completion asks: mi-tui --help must be quick.


def complete_format(incomplete: str) -> list[tuple[str, str]]:
    """The formats whose name begins so, with a line about each, for the shell."""
    return [(name, about) for name, about in _known() if name.startswith(incomplete)]


class ExportCommand(StudyCommand):
    """The command ``export``; its help ends with the formats."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The formats by name, a line about each."""
        del ctx
        with formatter.section("Formats"):
            formatter.write_dl(_known())


def _known() -> list[tuple[str, str]]:
    from mi_tui.export.format import ALL, CONFIGS, FORMATS

    slow = ", ".join(each.name for each in FORMATS if not each.quick)
    groups = [(CONFIGS, f"all but {slow}" if slow else "all"), (ALL, "every format")]
    return [*((each.name, each.about) for each in FORMATS), *groups]
