"""Token ids that mean different tokens in two tokenizers, whose rows cannot be mixed."""

from collections.abc import Iterable, Mapping

Vocabulary = Mapping[str, int]
"""Token texts to ids."""


def reused_ids(donor: Vocabulary, others: Iterable[Vocabulary]) -> tuple[int, ...]:
    """The ids that stand for another token in the donor than in one of the others, ascending.

    Half of one token's row and half of another's is neither: such rows of embedding and head are
    the donor's at every λ. An id that only one side uses is no such id.
    """
    mine = _by_id(donor)
    found: set[int] = set()
    for other in others:
        if other is not donor and other != donor:
            theirs = _by_id(other)
            found |= {n for n in mine.keys() & theirs.keys() if mine[n].isdisjoint(theirs[n])}
    return tuple(sorted(found))


def _by_id(vocabulary: Vocabulary) -> dict[int, set[str]]:
    texts: dict[int, set[str]] = {}
    for text, number in vocabulary.items():
        texts.setdefault(number, set()).add(text)
    return texts
