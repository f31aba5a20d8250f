"""The user's own problems: records of a file, checked one by one."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator
from pydantic_core import PydanticKnownError

from mi_tui.paths import expanded
from mi_tui.plan.probe import PROBE_KINDS, ProbePlan
from mi_tui.probes import form_fields
from mi_tui.probes.data_files import Record, read_file
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.files.column_names import columns_of, proposed_columns
from mi_tui.probes.probe_kind import YOURS, Kind, Proposal, first_faults
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import choice_prompt
from mi_tui.probes.scoring.scorer import SCORERS, file_scorers
from mi_tui.probes.text import shown_line

_ROLES = ("system", "user", "assistant")

COLUMNS = ("prompt", "messages", "answer", "id", "stratum", "scorer", "choices", "pattern")
"""The columns that are read."""


def _known_scorer(name: str) -> str:
    known = file_scorers()
    if name not in known:
        quoted = [f"'{one}'" for one in known]
        expected = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
        raise PydanticKnownError("literal_error", {"expected": expected})
    return name


def _is_unset(value: object) -> bool:
    return not value


class FileProbe(ProbePlan):
    """The user's own problems: a JSONL, JSON, CSV, TSV or Parquet file.

    Each record has ``prompt`` or ``messages``, an ``answer``, and optionally ``id``, ``stratum``
    and ``scorer``, which overrules the one here. ``columns`` names those that are called
    otherwise in the file: ``{prompt = "question"}``. ``system`` is put before every record without
    a system message of its own.
    """

    of_lines: ClassVar[frozenset[str]] = frozenset({"system"})

    kind: Literal["file"]
    path: str = Field(min_length=1)
    scorer: Annotated[str, AfterValidator(_known_scorer)] = "exact"
    system: str = ""
    # Left out where nothing is set: stored studies are found by the key of what they write.
    columns: dict[str, str] = Field(default_factory=dict, exclude_if=_is_unset)

    @field_validator("columns")
    @classmethod
    def _are_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown:
            raise ValueError(f"no column {shown_line(unknown[0], 60)}: use {', '.join(COLUMNS)}")
        if not all(columns.values()):
            raise ValueError('name the column of the file: prompt = "question"')
        return columns


class UserFile(Kind[FileProbe]):
    """A file of prompts and answers."""

    name = "file"
    order = 40
    title = "Your own problems"
    group = YOURS
    about = "a JSONL, CSV or Parquet file"
    plan = FileProbe
    start = MappingProxyType({"path": "problems.jsonl"})
    fields = (
        form_fields.Field("path", "File", "JSONL, CSV, Parquet", wide=True, is_path=True),
        form_fields.Names("columns", "Columns", "prompt=question, …", wide=True),
        form_fields.Choice("scorer", "Scorer", "", names=file_scorers),
        form_fields.Field("system", "System", "message before each", wide=True),
    )
    scorer = "exact"
    unready = "name your file"

    def draw(self, plan: FileProbe) -> list[Problem]:
        """The problem of each record; see :func:`read_problems`."""
        return read_problems(plan)

    def scorer_for(self, plan: FileProbe) -> str:
        """The plan's."""
        return plan.scorer

    def faults(self, plan: FileProbe) -> tuple[str, ...]:
        """The first bad records, and how many more there are; or that the file cannot be read."""
        try:
            records = _records(plan)
            problems, failures = _read_all(records, plan)
            if not failures:
                _refuse_twins(records, problems)
        except ProbeError as error:
            return (str(error),)
        return first_faults(failures)

    def proposal(self, plan: FileProbe) -> Proposal | None:
        """The plan with the columns that the file has instead, where they can be told."""
        try:
            records = read_file(expanded(plan.path))
        except ProbeError:
            return None
        columns = _proposed(records, plan)
        if not columns:
            return None
        first = records[0].values
        lines = (
            f"{shown_line(in_file, 30)} → {name}?   {shown_line(first.get(in_file, ''), 40)}"
            for name, in_file in columns.items()
        )
        name = shown_line(expanded(plan.path).name, 40)
        question = f"{name} calls its columns otherwise. Take\n\n" + "\n".join(lines)
        return Proposal(plan.model_copy(update={"columns": plan.columns | columns}), question)


PROBE_KINDS.register(UserFile())


def read_problems(plan: FileProbe) -> list[Problem]:
    """The problems of a file; every record is checked before the first is used.

    A record has ``prompt`` (text) or ``messages`` (a list of ``{"role": …, "content": …}``; in CSV
    as JSON text) and ``answer``; optionally ``id``, ``stratum``, ``scorer``, ``choices`` (a
    list; the lettered choices are put below the prompt) and ``pattern`` (for ``regex``: what to
    extract). Other columns are ignored.

    Raises:
        ProbeError: the first bad record, by the number of its row, and how many more there are; or
            no record has a prompt or an answer.
    """
    records = _records(plan)
    problems, failures = _read_all(records, plan)
    if failures:
        more = f" (and {len(failures) - 1} more rows)" if len(failures) > 1 else ""
        raise ProbeError(f"{failures[0]}{more}") from failures[0]
    _refuse_twins(records, problems)
    return problems


def _records(plan: FileProbe) -> list[Record]:
    """The records of the file, with their columns as they are called here.

    Raises:
        ProbeError: the file cannot be read, or lacks a column for all records.
    """
    found = read_file(expanded(plan.path))
    there = columns_of(record.values for record in found)
    has = f"it has {shown_line(', '.join(there), 120)}"
    file = shown_line(expanded(plan.path).name)
    for of, in_file in plan.columns.items():
        if in_file not in there:
            raise ProbeError(f"{file} has no column {shown_line(in_file, 60)} for {of}: {has}")
    records = [record.renamed(plan.columns) for record in found] if plan.columns else found
    for wanted in (("prompt", "messages"), ("answer",)):
        lacking = not any(set(wanted) & set(record.values) for record in records)
        if lacking and set(there) - set(COLUMNS):
            proposed = _proposed(found, plan)
            names = ", ".join(f'{of} = "{shown_line(name)}"' for of, name in proposed.items())
            hint = f"; if these are them, set columns = {{ {names} }}" if proposed else ""
            raise ProbeError(f"{file} has no column {' or '.join(wanted)}: {has}{hint}")
    return records


def _proposed(found: Sequence[Record], plan: FileProbe) -> dict[str, str]:
    """The columns that are called otherwise in the file, beside those that the plan names."""
    rows = [record.renamed(plan.columns).values for record in found]

    def reads(row: Mapping[str, Any]) -> bool:
        try:
            SCORERS[plan.scorer].read(Record("", dict(row)))
        except ProbeError:
            return False
        return True

    return proposed_columns(rows, reads)


def _read_all(records: list[Record], plan: FileProbe) -> tuple[list[Problem], list[ProbeError]]:
    """The problems of the good records, and why the others are bad."""
    problems: list[Problem] = []
    failures: list[ProbeError] = []
    for number, record in enumerate(records, start=1):
        try:
            problems.append(_problem(record, number, plan))
        except ProbeError as error:
            failures.append(error)
    return problems, failures


def _refuse_twins(records: list[Record], problems: list[Problem]) -> None:
    seen: dict[str, Record] = {}
    for record, problem in zip(records, problems, strict=True):
        if problem.id in seen:
            raise ProbeError(
                f"{record.where}: id {problem.id} is also that of {seen[problem.id].where}"
            )
        seen[problem.id] = record


def _problem(record: Record, number: int, plan: FileProbe) -> Problem:
    scorer = record.optional("scorer") or plan.scorer
    if scorer not in file_scorers():
        known = ", ".join(file_scorers())
        raise ProbeError(
            f"{record.where}: unknown scorer {shown_line(scorer, 60)}: use one of {known}"
        )
    messages = _messages(record)
    if plan.system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": plan.system}, *messages]
    answer, meta = SCORERS[scorer].read(record)
    if choices := meta.pop("choices", None):
        last = messages[-1]
        messages[-1] = {**last, "content": choice_prompt(last["content"], choices)}
    return Problem(
        id=record.optional("id") or f"{number:04d}",
        messages=tuple(messages),
        answer=answer,
        stratum=record.optional("stratum"),
        meta={**meta, "scorer": scorer} if scorer != plan.scorer else meta,
    )


def _messages(record: Record) -> list[dict[str, str]]:
    value = record.parsed("messages", list)
    if value is None:
        return [{"role": "user", "content": record.text("prompt")}]
    for message in value:
        if not (
            isinstance(message, dict)
            and message.get("role") in _ROLES
            and isinstance(message.get("content"), str)
        ):
            raise ProbeError(
                f'{record.where}: messages must be [{{"role": …, "content": …}}, …] with the roles '
                f"{', '.join(_ROLES)}"
            )
    if not value or value[-1]["role"] != "user":
        raise ProbeError(f"{record.where}: the last of messages must be the user's")
    return [{"role": m["role"], "content": m["content"]} for m in value]
