"""Escapes for the languages that exports are written in: YAML, CSV and comments.

Names and references come from presets and studies that others wrote. JSON, TOML, HTML and the
shell have escapes of their own in ``json``, ``tomlkit``, ``jinja2`` and ``shlex``; the model card
escapes what stands in it.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from mi_tui.probes.text import shown_line

_FORMULA = ("=", "+", "-", "@")


def comment(text: str) -> str:
    """Text for a comment of one line, in a script, YAML or TOML: breaks and controls removed."""
    return shown_line(text)


def yaml_text(text: str) -> str:
    """A YAML string in double quotes, with every character that is not printable escaped.

    Source: https://yaml.org/spec/1.2.2, section 5.7. JSON's escapes would not do: YAML breaks
    lines at U+0085, U+2028 and U+2029, too, and joins no surrogates.
    """
    return '"' + "".join(map(_yaml_character, text)) + '"'


def _yaml_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == " " or character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def csv_text(text: str) -> str:
    """A text cell that no spreadsheet reads as a formula: an apostrophe before ``=+-@``.

    Source: https://owasp.org/www-community/attacks/CSV_Injection. Breaks and controls, which
    could begin a cell as well, are removed.
    """
    line = shown_line(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, with :func:`csv_text` for each text; ``None`` is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue()


def slug(text: str) -> str:
    """A name of letters, digits, points and hyphens, as servers and shells take it."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:80].rstrip("-.") or "model"
