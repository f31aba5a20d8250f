"""HTML for notebooks, in which every text is escaped."""

from collections.abc import Iterable, Sequence
from html import escape


def html_table(heads: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table of cells that are shown as they are written, whatever stands in them.

    Args:
        heads: the names of the columns.
        rows: as many cells each.
        caption: a line above the table.
    """
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{_cells('th', heads)}</tr></thead>"
    return f"<table>{above}{head}<tbody>{body}</tbody></table>"


def html_text(*lines: str) -> str:
    """Lines of plain text."""
    return f"<p>{'<br>'.join(map(escape, lines))}</p>"


def _cells(tag: str, texts: Sequence[object]) -> str:
    return "".join(f"<{tag}>{escape(str(text))}</{tag}>" for text in texts)
