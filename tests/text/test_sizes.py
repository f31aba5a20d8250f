"""Sizes and counts in words."""

from mi_tui.text.sizes import in_bytes, in_numbers


def test_sizes_in_words() -> None:
    assert [in_bytes(n) for n in (0, 999, 1000, 1217000, 8 * 2**30, 2**41)] == [
        "0 B",
        "999 B",
        "0.977 KiB",
        "1.16 MiB",
        "8 GiB",
        "2 TiB",
    ]
    assert [in_numbers(n) for n in (12, 605_000, 4.02e9, 1e12)] == ["12", "605 k", "4.02 B", "1 T"]
