"""The base class of public benchmarks: a data set on the hub, or a local file in its schema."""

from abc import abstractmethod
from typing import TYPE_CHECKING, TypeVar

from mi_tui.paths import expanded
from mi_tui.plan.probe import ProbePlan
from mi_tui.probes.data_files import Record, read_file, read_hub
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.form_fields import Field
from mi_tui.probes.probe_kind import PUBLIC, Kind, first_faults
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import BOXED
from mi_tui.probes.scoring.extraction import as_integer


class BenchmarkProbe(ProbePlan):
    """A public data set, from the hub or from a local file (JSONL, CSV, Parquet) in its schema.

    ``path`` is the local file; without it ``source``, a data set on the hub, is loaded. Each
    benchmark adds ``kind``, a default ``source`` and its cap.
    """

    if TYPE_CHECKING:
        # A field of each benchmark's own class, with its data set as default.
        source: str

    path: str | None = None


B = TypeVar("B", bound=BenchmarkProbe)


class Benchmark(Kind[B]):
    """A public benchmark: what is asked of each record.

    Attributes:
        records: how many records the split has.
        config: the configuration on the hub, if the data set has several.
        split: the split that is asked.
        gated: whether the owner must grant access first.
        columns: the columns that are read, for documents.
        prompt: what the model is asked, for documents.
        scoring: what a response is judged by, for documents.
    """

    group = PUBLIC
    fields = (
        Field(
            "path", "Local file", "empty: from the hub", wide=True, is_path=True, empty_is_none=True
        ),
    )
    records: int
    config: str | None = None
    split: str = "test"
    gated: bool = False
    columns: str
    prompt: str
    scoring: str

    @abstractmethod
    def problem(self, record: Record, number: int) -> Problem:
        """The problem of one record, numbered from 1.

        Raises:
            ProbeError: the record is not in the schema.
        """

    def draw(self, plan: B) -> list[Problem]:
        """The problem of each record."""
        return [self.problem(record, i) for i, record in enumerate(self.read(plan), start=1)]

    def read(self, plan: B) -> list[Record]:
        """All records of the local file, or of the data set on the hub.

        Raises:
            ProbeError: they cannot be read, or access is not granted.
        """
        if plan.path is not None:
            return read_file(expanded(plan.path))
        return [
            record
            for config in self.configs(plan.source)
            for record in read_hub(plan.source, config, self.split, self.title, self.gated)
        ]

    def faults(self, plan: B) -> tuple[str, ...]:
        """The first bad records of the local file, or that it cannot be read."""
        if plan.path is None:
            return ()
        failures: list[ProbeError] = []
        try:
            records = self.read(plan)
        except ProbeError as error:
            return (str(error),)
        for number, record in enumerate(records, start=1):
            try:
                self.problem(record, number)
            except ProbeError as error:
                failures.append(error)
        return first_faults(failures)

    def configs(self, source: str) -> tuple[str | None, ...]:  # noqa: ARG002
        """The configurations of a data set that hold the problems."""
        return (self.config,)

    def size(self, plan: B) -> int | None:
        """The size of the public data set; that of a local file is not known."""
        return self.records if plan.path is None else None


BOXED_PROMPT = f"the problem, then “{BOXED}”"
"""What :func:`boxed_problem` asks, for documents."""


def boxed_problem(question: str, answer: str, name: str, stratum: str = "") -> Problem:
    """A question with the request to box its answer."""
    messages = ({"role": "user", "content": f"{question}\n{BOXED}"},)
    return Problem(name, messages, answer, stratum=stratum)


def boxed_integer_problem(record: Record, name: str) -> Problem:
    """A mathematical problem whose answer is an integer, with the request to box it.

    Columns ``problem`` or ``question``, and ``answer``.

    Raises:
        ProbeError: one is missing, or the answer is no integer.
    """
    answer = as_integer(record.text("answer"))
    if answer is None:
        raise ProbeError(f"{record.where}: answer {record.text('answer')!r} is not an integer")
    return boxed_problem(record.text("problem", "question"), str(answer), name)
