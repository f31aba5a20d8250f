"""The keys of the app: documented, explained, and free of chords that terminals swallow."""

from pathlib import Path

from mi_tui.tui.keys import as_markdown, keys_of, places


def test_the_documented_keys_are_the_keys() -> None:
    docs = Path(__file__).parents[2] / "docs" / "keys.md"
    assert docs.read_text(encoding="utf-8").endswith(as_markdown())


def test_no_key_needs_a_chord_that_terminals_swallow() -> None:
    swallowed = {"ctrl+a", "ctrl+b", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+s", "ctrl+z"}
    for _, place in places():
        for key in keys_of(place):
            for one in key.keys.split(","):
                assert one not in swallowed
                assert not one.startswith(("shift+", "alt+", "super+"))
                assert one not in ("ctrl+enter",)


def test_ids_are_unique_and_every_key_is_explained() -> None:
    ids = [key.id for _, place in places() for key in keys_of(place)]
    assert len(ids) == len(set(ids))
    assert all(
        key.id and key.tooltip and key.name for _, place in places() for key in keys_of(place)
    )
