"""The page table: no page is held twice, none is lost, and the tokens stay in their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.engines.transformers.model.page_table import PAGE, PageTable, pages_for

ROWS = 6
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("extend"), st.integers(0, ROWS - 1), st.integers(1, 5 * PAGE)),
        st.tuples(st.just("free"), st.integers(0, ROWS - 1), st.just(0)),
        st.tuples(st.just("move"), st.integers(0, ROWS - 1), st.integers(0, ROWS - 1)),
        st.tuples(st.just("compact"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(ACTS)
def test_every_sequence_keeps_its_pages_and_no_page_has_two_holders(
    acts: list[tuple[str, int, int]],
) -> None:
    table = PageTable(ROWS)
    content = np.full(1, -1)
    expected: list[list[int]] = [[] for _ in range(ROWS)]
    mark = 0
    for act, row, other in acts:
        if act == "extend":
            rows, lengths = np.array([row]), np.array([other])
            missing = table.missing(rows, lengths)
            if missing:
                content = np.concatenate([content, np.full(missing, -1)])
                table.grow(table.pages + missing)
            table.extend(rows, lengths)
            while len(expected[row]) < pages_for(lengths)[0]:
                content[table.table[row, len(expected[row])]] = mark
                expected[row].append(mark)
                mark += 1
        elif act == "free":
            table.free([row])
            expected[row] = []
        elif act == "move" and row != other:
            table.move([row], [other])
            expected[other], expected[row] = expected[row], []
        elif act == "compact":
            content = content[table.compact()]
        held = [table.table[at, : table.held[at]] for at in range(ROWS)]
        assert [content[pages].tolist() for pages in held] == expected
        used = np.concatenate(held)
        assert len(set(used.tolist())) == len(used)
        assert 0 not in used
        assert table.pages == 1 + len(used) + table.free_pages == len(content)


def test_pages_are_counted_up_to_the_last_token() -> None:
    lengths = np.array([0, 1, PAGE, PAGE + 1])
    assert pages_for(lengths).tolist() == [0, 1, 1, 2]
