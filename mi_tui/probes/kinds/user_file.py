"""The user's own problems: records of a file, checked one by one."""

from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticKnownError

from mi_tui.paths import expanded
from mi_tui.plan.probe import PROBE_KINDS, ProbePlan
from mi_tui.probes import form_fields
from mi_tui.probes.data_files import Record, read_file
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.probe_kind import YOURS, Kind
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import choice_prompt
from mi_tui.probes.scoring.scorer import SCORERS, file_scorers

_ROLES = ("system", "user", "assistant")

_FIRST_FAULTS = 3
"""Bad records that are named when a file is looked at."""


def _known_scorer(name: str) -> str:
    known = file_scorers()
    if name not in known:
        quoted = [f"'{one}'" for one in known]
        expected = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
        raise PydanticKnownError("literal_error", {"expected": expected})
    return name


class FileProbe(ProbePlan):
    """The user's own problems: a JSONL or CSV file.

    Each record has ``prompt`` or ``messages``, an ``answer``, and optionally ``id``, ``stratum``
    and ``scorer``, which overrules the one here. ``system`` is put before every record without a
    system message of its own.
    """

    of_lines: ClassVar[frozenset[str]] = frozenset({"system"})

    kind: Literal["file"]
    path: str = Field(min_length=1)
    scorer: Annotated[str, AfterValidator(_known_scorer)] = "exact"
    system: str = ""


class UserFile(Kind[FileProbe]):
    """A JSONL or CSV file."""

    name = "file"
    order = 40
    title = "Your own problems"
    group = YOURS
    about = "a JSONL or CSV file of prompts and answers"
    plan = FileProbe
    start = MappingProxyType({"path": "problems.jsonl"})
    fields = (
        form_fields.Field("path", "File", "JSONL or CSV", wide=True, is_path=True),
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
            records = read_file(expanded(plan.path))
            problems, failures = _read_all(records, plan)
            if not failures:
                _refuse_twins(records, problems)
        except ProbeError as error:
            return (str(error),)
        first = [str(failure) for failure in failures[:_FIRST_FAULTS]]
        more = len(failures) - len(first)
        return (*first, f"and {more} more {'row' if more == 1 else 'rows'}") if more else (*first,)


PROBE_KINDS.register(UserFile())


def read_problems(plan: FileProbe) -> list[Problem]:
    """The problems of a file; every record is checked before the first is used.

    A record has ``prompt`` (text) or ``messages`` (a list of ``{"role": …, "content": …}``; in CSV
    as JSON text) and ``answer``; optionally ``id``, ``stratum``, ``scorer``, ``choices`` (a
    list; the lettered choices are put below the prompt) and ``pattern`` (for ``regex``: what to
    extract). Other columns are ignored.

    Raises:
        ProbeError: the first bad record, by the number of its row, and how many more there are.
    """
    records = read_file(expanded(plan.path))
    problems, failures = _read_all(records, plan)
    if failures:
        more = f" (and {len(failures) - 1} more rows)" if len(failures) > 1 else ""
        raise ProbeError(f"{failures[0]}{more}") from failures[0]
    _refuse_twins(records, problems)
    return problems


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
    scorer = str(record.values.get("scorer") or plan.scorer)
    if scorer not in file_scorers():
        known = ", ".join(file_scorers())
        raise ProbeError(f"{record.where}: unknown scorer {scorer}: use one of {known}")
    messages = _messages(record)
    if plan.system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": plan.system}, *messages]
    answer, meta = SCORERS[scorer].read(record)
    if choices := meta.pop("choices", None):
        last = messages[-1]
        messages[-1] = {**last, "content": choice_prompt(last["content"], choices)}
    return Problem(
        id=str(record.values.get("id") or f"{number:04d}"),
        messages=tuple(messages),
        answer=answer,
        stratum=str(record.values.get("stratum") or ""),
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
