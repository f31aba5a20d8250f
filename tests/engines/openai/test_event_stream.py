"""Server-sent events, in every legal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.engines.openai import event_stream
from mi_tui.engines.openai.event_stream import EventStream
from mi_tui.engines.openai.events import UnreadableError


def _read(pieces: list[bytes]) -> list[str]:
    stream = EventStream()
    found = [data for piece in pieces for data in stream.feed(piece)]
    return [*found, *stream.feed(b"", final=True)]


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        ("data: a\n\ndata: b\n\n", ["a", "b"]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        ("data: a\r\rdata: b\r\r", ["a", "b"]),
        ("data:a\n\n", ["a"]),
        (": ping\n\nevent: x\nid: 1\ndata: a\n\n", ["a"]),
        ("data: a\ndata: b\n\n", ["a\nb"]),
        ("data: a", ["a"]),
        ("\ufeffdata: a\n\n", ["a"]),
        ("data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\n", ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"]),
        ("\n\n\n", []),
    ],
)
def test_events_are_read_as_the_standard_says(sent: str, data: list[str]) -> None:
    assert _read([sent.encode()]) == data


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    st.lists(st.integers(1, 7), min_size=1),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_it_matters_not_where_the_network_cuts(
    texts: list[str], sizes: list[int], end: str
) -> None:
    sent = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    pieces: list[bytes] = []
    at = 0
    while at < len(sent):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(sent[at : at + size])
        at += size
    assert _read(pieces) == texts


def test_an_endless_event_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LONGEST", 1000)
    stream = EventStream()
    assert list(stream.feed(b"x" * 900)) == []
    with pytest.raises(UnreadableError, match="more than 1000 characters"):
        list(stream.feed(b"x" * 900))
