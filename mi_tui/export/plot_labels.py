"""Places of labels beside points, so that none covers another label or a point."""

from collections.abc import Sequence
from dataclasses import dataclass

_CHARACTER, _LINE = 6.4, 12.0
"""The room of a character and of a line, in units of the picture."""
_AWAY = 6.0
_POINT = 4.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A label's text, where its line begins or ends, and which of the two."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def place_labels(
    points: Sequence[tuple[float, float, str]],
    width: float,
    height: float,
    bars: Sequence[tuple[float, float, float]] = (),
) -> list[Placed | None]:
    """A place for each label beside its point; ``None`` where there is no room for it.

    Args:
        points: x, y and label of each, y downwards; the first have the first choice.
        width, height: of the picture.
        bars: what labels keep off, too: x, and the upper and the lower end of an upright line.
    """
    taken = [_Box(x - 1, high, x + 1, low) for x, high, low in bars]
    taken += [_Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y, _ in points]
    found: list[Placed | None] = []
    for x, y, text in points:
        place = next(
            (
                placed
                for placed, box in _choices(x, y, text)
                if box.left >= 0 and box.right <= width and box.top >= 0 and box.bottom <= height
                if not any(box.meets(other) for other in taken)
            ),
            None,
        )
        if place is not None:
            taken.append(_box(place))
        found.append(place)
    return found


def _choices(x: float, y: float, text: str) -> list[tuple[Placed, _Box]]:
    """Right above, right below, left above, left below, right and left of a point."""
    places = [
        Placed(x + side * _AWAY, y + down, "start" if side > 0 else "end", text)
        for down in (-_AWAY, _LINE + 1, 4.0)
        for side in (1, -1)
    ]
    return [(place, _box(place)) for place in places]


def _box(place: Placed) -> _Box:
    width = _CHARACTER * len(place.text)
    left = place.x if place.anchor == "start" else place.x - width
    return _Box(left, place.y - _LINE + 2, left + width, place.y + 2)
