"""The declaration of a scorer, and the registry of scorers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Scorer
from mi_tui.registry import Registry, UnknownNameError

Reading = tuple[str, dict[str, Any]]
"""The answer of a record, and what its scorer needs besides, for the problem's ``meta``."""


def plain_answer(record: Record) -> Reading:
    """The column ``answer`` as it is.

    Raises:
        ProbeError: it is missing, or neither text nor a number.
    """
    return record.text("answer"), {}


@dataclass(frozen=True, slots=True)
class ScorerKind:
    """How responses can be judged.

    Args:
        name: the name in presets and files.
        about: when a response is correct, for documents: "A response is correct when …".
        make: gives the scorer; takes what follows a colon in its name (``lm-eval:gsm8k``), and
            may import what it needs, or raise :class:`ScorerError` where that is missing.
        order: the place in lists.
        batched: whether it takes linear time on any text, so that the pool may hand over many
            of its jobs at once; any other runs with a time limit for each response.
        for_files: whether the user's own problems may name it.
        read: takes the answer from a record of the user's own file, and refuses what it could
            never compare with (:class:`ProbeError`).
    """

    name: str
    about: str
    make: Callable[[str], Scorer]
    order: int = 100
    batched: bool = False
    for_files: bool = False
    read: Callable[[Record], Reading] = plain_answer


SCORERS: Registry[ScorerKind] = Registry("mi_tui.probes.scorers", "scorer")
"""The scorers: one module each in ``mi_tui.probes.scorers``, and installed ones."""


def file_scorers() -> tuple[str, ...]:
    """The names that the user's own problems may give, in the order of lists."""
    return tuple(kind.name for kind in SCORERS if kind.for_files)


@cache
def is_batched(name: str) -> bool:
    """Whether many jobs of this scorer, named with or without a parameter, go at once."""
    kind = name.partition(":")[0]
    return kind in SCORERS and SCORERS[kind].batched


@cache
def scorer(name: str) -> Scorer:
    """The scorer of this name; a parameter follows a colon (``lm-eval:gsm8k``).

    Raises:
        ScorerError: there is no such scorer, or what it needs is not installed.
    """
    kind, _, parameter = name.partition(":")
    try:
        declared = SCORERS[kind]
    except UnknownNameError as error:
        raise ScorerError(str(error)) from error
    return declared.make(parameter)
