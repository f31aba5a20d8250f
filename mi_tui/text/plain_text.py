"""Plain text: what no terminal, file format or reader takes for more than words."""

import re

LINE_BREAKS = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
"""Every kind of line break but the newline."""

INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Controls, and format characters that reorder or hide what stands beside them.

The joiners U+200C and U+200D are left out: some scripts cannot be written without them.
"""

# CSI; OSC, DCS, SOS, PM and APC strings up to their terminator; any other two-byte escape.
ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
"""What a terminal obeys, from its first sign to its last."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of a character, which no file can hold."""


def without_controls(text: str) -> str:
    """A text without what a terminal obeys and what hides; half a character becomes U+FFFD."""
    return SURROGATES.sub("\ufffd", INVISIBLE.sub("", ESCAPE_SEQUENCES.sub("", text)))


def fault(text: str, *, lines: bool = False) -> str | None:
    """What keeps a text from being plain, as the end of a sentence; ``None`` where it is plain.

    Args:
        text: of a preset or a study, which anyone may have written.
        lines: whether it may have several lines, and tabs.
    """
    if SURROGATES.search(text):
        return "holds half a character: write it anew"
    broken = LINE_BREAKS.search(text)
    if INVISIBLE.search(text) or (lines and broken):
        return "holds control characters or hidden ones: take them out"
    if not lines and (broken or "\n" in text or "\t" in text):
        return "must be one line"
    return None
