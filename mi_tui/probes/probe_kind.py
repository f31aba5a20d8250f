"""The base class of probe kinds: what each declares, and how its problems are drawn."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from mi_tui.plan.probe import PROBE_KINDS, ProbePlan
from mi_tui.plan.remote_code import RemoteCode
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.form_fields import COMMON, Field
from mi_tui.probes.problem import Problem
from mi_tui.registry import UnknownNameError

MADE_UP = "Made up here: no download, in nobody's training data"
PUBLIC = "Public benchmarks: downloaded when the study starts"
YOURS = "Your own"

THINKS: Mapping[str, Any] = MappingProxyType({"max_new_tokens": 8192})
"""Room for a response that thinks, to begin with."""

_FIRST_FAULTS = 3
"""Bad records that are named when a file is looked at."""

P = TypeVar("P", bound=ProbePlan)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of a probe under which its source can be read, to be asked for first.

    Attributes:
        plan: the probe with the change.
        question: what is asked, in a few lines.
    """

    plan: ProbePlan
    question: str


class Kind(ABC, Generic[P]):
    """One kind of probe: its plan, its words, its form, its scorer, and its problems.

    Attributes:
        name: the value of ``kind`` in presets.
        order: the place in its group: lower first, then by name; the lowest places the group.
        title: the name in documents.
        group: the heading under which it is offered.
        about: one line of at most 50 characters.
        plan: the class of its plans.
        start: what a new probe of it begins with, where that is not the plan's default.
        fields: its own fields of the form.
        scorer: the name of the scorer of its problems.
        unready: what a new probe lacks before it can be drawn, as a request; usually nothing.
    """

    name: str
    order: int = 100
    title: str
    group: str
    about: str
    plan: type[P]
    start: Mapping[str, Any] = MappingProxyType({})
    fields: tuple[Field, ...] = ()
    scorer: str
    unready: str = ""

    @abstractmethod
    def draw(self, plan: P) -> list[Problem]:
        """All problems that the plan can draw from, always the same for the same plan and source.

        Raises:
            ProbeError: the source cannot be read, or is not in its schema.
        """

    def scorer_for(self, plan: P) -> str:  # noqa: ARG002
        """The name of the scorer; a parameter follows a colon."""
        return self.scorer

    def size(self, plan: P) -> int | None:  # noqa: ARG002
        """How many problems there are to draw from, where that is known without reading any."""
        return None

    def faults(self, plan: P) -> tuple[str, ...]:  # noqa: ARG002
        """What is wrong with the source, the first few faults; found without a download."""
        return ()

    def proposal(self, plan: P) -> Proposal | None:  # noqa: ARG002
        """A change of the plan under which a source with faults can be read, where there is one."""
        return None

    def remote_code(self, plan: P) -> RemoteCode | None:  # noqa: ARG002
        """Code of others that drawing or scoring such a probe runs; most kinds run none.

        Raises:
            ProbeError: it cannot be read.
        """
        return None

    def new(self, **settings: Any) -> P:
        """A probe of this kind as it is offered, but for these settings."""
        return self.plan.model_validate({"kind": self.name, **self.start, **settings})

    @property
    def form(self) -> tuple[Field, ...]:
        """The fields of the form: its own first, then what every probe has."""
        return (*self.fields, *COMMON)


def first_faults(failures: Sequence[ProbeError]) -> tuple[str, ...]:
    """The first few of many faults, and how many rows more there are."""
    first = [str(failure) for failure in failures[:_FIRST_FAULTS]]
    more = len(failures) - len(first)
    return (*first, f"and {more} more {'row' if more == 1 else 'rows'}") if more else (*first,)


def probe_kinds() -> list[Kind[Any]]:
    """All kinds, group by group, in the order of lists.

    Raises:
        ProbeError: an installed one is no :class:`Kind`.
    """
    kinds = [kind_of(name) for name in PROBE_KINDS.names()]
    groups = list(dict.fromkeys(kind.group for kind in kinds))
    return sorted(kinds, key=lambda kind: groups.index(kind.group))


def kind_of(name: str) -> Kind[Any]:
    """The kind of this name.

    Raises:
        ProbeError: there is none, or it is no :class:`Kind`.
    """
    try:
        kind = PROBE_KINDS[name]
    except UnknownNameError as error:
        raise ProbeError(str(error)) from error
    if not isinstance(kind, Kind):
        raise ProbeError(f"probe kind {name} does not derive from mi_tui.probes.probe_kind.Kind")
    return kind
