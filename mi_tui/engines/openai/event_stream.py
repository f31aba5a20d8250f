"""A decoder of server-sent events, bytes to data."""

import codecs
import re
from collections.abc import Iterator

from mi_tui.engines.openai.events import UnreadableError

_LINE_END = re.compile("\r\n|\r|\n")
LONGEST = 16 << 20
"""The most characters of one event; more is no piece of an answer."""


class EventStream:
    """The data of a stream's events, as https://html.spec.whatwg.org/#event-stream-interpretation.

    Lines end with CRLF, LF or CR and nothing else: U+2028, U+2029 and U+0085 are text, which
    servers may send as it is. A last event without its empty line counts, too.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes, *, final: bool = False) -> Iterator[str]:
        """The data of the events that this piece of the stream completes.

        Args:
            piece: the next bytes, cut anywhere.
            final: whether the stream ends with them.

        Raises:
            UnreadableError: an event is longer than :data:`LONGEST`.
        """
        text = self._rest + self._decoder.decode(piece, final)
        start = 0
        for match in _LINE_END.finditer(text):
            if match.end() == len(text) and match[0] == "\r" and not final:
                break  # perhaps the first half of a CRLF
            yield from self._line(text[start : match.start()])
            start = match.end()
        self._rest = text[start:]
        if len(self._rest) + self._size > LONGEST:
            raise UnreadableError(f"sends an event of more than {LONGEST} characters")
        if final:
            yield from self._line(self._rest)
            yield from self._line("")

    def _line(self, line: str) -> Iterator[str]:
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
                self._size += len(value)
        elif self._data:
            yield "\n".join(self._data)
            self._data, self._size = [], 0
