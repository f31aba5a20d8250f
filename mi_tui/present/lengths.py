"""The distribution of lengths as lines of blocks: two for each λ, over one axis of tokens."""

import math
from bisect import bisect_right

from rich.text import Text

from mi_tui.analysis.statistics.length_histogram import LengthHistogram, Lengths, RecipeLengths
from mi_tui.plan.recipe import labels
from mi_tui.present import numbers

BLOCKS = " ▁▂▃▄▅▆▇█"
"""From no response to the most of any bin of the recipe."""

_NAME, _KIND, _MEDIAN = 14, 9, 17
"""The columns before the blocks, and behind them."""

BESIDE = _NAME + _KIND + _MEDIAN
"""The columns that the blocks do not have."""


def lengths_picture(found: LengthHistogram, thinking: str, direct: str, dim: str) -> Text:
    """The histograms; ``thinking``, ``direct`` and ``dim`` are styles.

    A recipe's two lines have one scale, so that their areas are its shares.
    """
    if not found.recipes:
        return Text("No round is complete yet.")
    text = Text(no_wrap=True)
    for row, label in zip(found.recipes, labels([r.recipe for r in found.recipes]), strict=True):
        text.append(f"{numbers.cut(label, _NAME - 1):<{_NAME}}", "bold")
        _append(text, row, row.thinking, "thinks", thinking)
        text.append(f"{_cut_words(row):<{_NAME}}", dim)
        _append(text, row, row.direct, "does not", direct)
    text.append(_axis(found), dim)
    return text


def _append(text: Text, row: RecipeLengths, lengths: Lengths, kind: str, style: str) -> None:
    text.append(f"{kind:<{_KIND}}")
    text.append(_blocks(lengths, row), style)
    share = lengths.responses / (row.thinking.responses + row.direct.responses)
    middle = numbers.MISSING if lengths.median is None else numbers.count(lengths.median)
    text.append(f" {numbers.percent(share):>5} med {middle:>5}\n")


def _blocks(lengths: Lengths, row: RecipeLengths) -> str:
    most = max(*row.thinking.counts, *row.direct.counts, 1)
    # Not a single response may be lost from sight: it has the lowest block at least.
    return "".join(BLOCKS[math.ceil(count / most * (len(BLOCKS) - 1))] for count in lengths.counts)


def _cut_words(row: RecipeLengths) -> str:
    return f"  {row.truncated:,} cut" if row.truncated else ""


def _axis(found: LengthHistogram) -> str:
    """Round numbers of tokens below the bins where they lie."""
    low, *edges, high = found.edges
    line = [" "] * (len(edges) + 1 + _NAME)
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in (1, 2, 5):
            at = step * 10**exponent
            place, name = bisect_right(edges, at), numbers.count(at)
            free = not "".join(line[max(place - 1, 0) : place + len(name) + 1]).strip()
            if low <= at < high and free:
                line[place : place + len(name)] = name
    return f"{'tokens':<{_NAME + _KIND}}{''.join(line).rstrip()}"
