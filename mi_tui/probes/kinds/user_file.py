"""The user's own problems: records of a file, checked one by one."""

import json
import re
from collections.abc import Callable
from typing import Any, get_args

from mi_tui.paths import expanded
from mi_tui.plan.probe import FileProbe, FileScorer
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.kinds.data_files import Row, read_file
from mi_tui.probes.kinds.multiple_choice import choice_prompt
from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.extraction import as_integer

_ROLES = ("system", "user", "assistant")
_MAX_CHOICES = 10


def read_problems(plan: FileProbe) -> list[Problem]:
    """The problems of a file; every row is checked before the first is used.

    A row has ``prompt`` (text) or ``messages`` (a list of ``{"role": …, "content": …}``; in CSV
    as JSON text) and ``answer``; optionally ``id``, ``stratum``, ``scorer``, ``choices`` (a
    list; the lettered choices are put below the prompt) and ``pattern`` (for ``regex``: what to
    extract). Other columns are ignored.

    Raises:
        ProbeError: the first bad row, by number, and how many more there are.
    """
    rows = read_file(expanded(plan.path))
    problems: list[Problem] = []
    failures: list[ProbeError] = []
    for number, row in enumerate(rows, start=1):
        try:
            problems.append(_problem(row, number, plan))
        except ProbeError as error:
            failures.append(error)
    if failures:
        more = f" (and {len(failures) - 1} more rows)" if len(failures) > 1 else ""
        raise ProbeError(f"{failures[0]}{more}") from failures[0]
    _refuse_twins(rows, problems)
    return problems


def _refuse_twins(rows: list[Row], problems: list[Problem]) -> None:
    seen: dict[str, Row] = {}
    for row, problem in zip(rows, problems, strict=True):
        if problem.id in seen:
            raise ProbeError(
                f"{row.where}: id {problem.id} is also that of {seen[problem.id].where}"
            )
        seen[problem.id] = row


def _problem(row: Row, number: int, plan: FileProbe) -> Problem:
    scorer = str(row.values.get("scorer") or plan.scorer)
    if scorer not in get_args(FileScorer):
        known = ", ".join(get_args(FileScorer))
        raise ProbeError(f"{row.where}: unknown scorer {scorer}: use one of {known}")
    messages = _messages(row)
    if plan.system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": plan.system}, *messages]
    answer, meta = _READERS.get(scorer, _plain)(row)
    if choices := meta.pop("choices", None):
        last = messages[-1]
        messages[-1] = {**last, "content": choice_prompt(last["content"], choices)}
    return Problem(
        id=str(row.values.get("id") or f"{number:04d}"),
        messages=tuple(messages),
        answer=answer,
        stratum=str(row.values.get("stratum") or ""),
        meta={**meta, "scorer": scorer} if scorer != plan.scorer else meta,
    )


def _messages(row: Row) -> list[dict[str, str]]:
    value = _parsed(row, "messages", list)
    if value is None:
        return [{"role": "user", "content": row.text("prompt")}]
    for message in value:
        if not (
            isinstance(message, dict)
            and message.get("role") in _ROLES
            and isinstance(message.get("content"), str)
        ):
            raise ProbeError(
                f'{row.where}: messages must be [{{"role": …, "content": …}}, …] with the roles '
                f"{', '.join(_ROLES)}"
            )
    if not value or value[-1]["role"] != "user":
        raise ProbeError(f"{row.where}: the last of messages must be the user's")
    return [{"role": m["role"], "content": m["content"]} for m in value]


def _parsed(row: Row, name: str, kind: type) -> Any:
    """A column that holds JSON: a value in JSONL, JSON text in CSV."""
    value = row.values.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ProbeError(f"{row.where}: {name} is not JSON: {error}") from error
    if value is not None and not isinstance(value, kind):
        raise ProbeError(f"{row.where}: {name} must be a {kind.__name__}")
    return value


Reading = tuple[str, dict[str, Any]]
"""The answer of a row, and what its scorer needs besides."""


def _plain(row: Row) -> Reading:
    return row.text("answer"), {}


def _integer(row: Row) -> Reading:
    answer = row.text("answer")
    if as_integer(answer) is None:
        raise ProbeError(f"{row.where}: answer {answer!r} is not an integer")
    return answer, {}


def _contains(row: Row) -> Reading:
    parts = row.values.get("answer")
    if isinstance(parts, list) and parts and all(isinstance(p, str) and p for p in parts):
        return json.dumps(parts, ensure_ascii=False), {"parts": parts}
    return _plain(row)


def _regex(row: Row) -> Reading:
    answer, pattern = row.text("answer"), row.values.get("pattern")
    try:
        re.compile(str(pattern or answer))
    except re.error as error:
        raise ProbeError(f"{row.where}: not a regular expression: {error}") from error
    return answer, {"pattern": str(pattern)} if pattern else {}


def _choice(row: Row) -> Reading:
    answer, choices = row.text("answer").strip(), _parsed(row, "choices", list)
    if choices is None:
        if not re.fullmatch("[A-Ja-j]", answer):
            raise ProbeError(f"{row.where}: answer {answer!r} is not a letter from A to J")
        return answer.upper(), {"letters": "ABCD" if answer.upper() <= "D" else "ABCDEFGHIJ"}
    texts = [str(choice) for choice in choices]
    if not 2 <= len(texts) <= _MAX_CHOICES or len(set(texts)) < len(texts):
        raise ProbeError(f"{row.where}: choices must be 2 to {_MAX_CHOICES} different texts")
    letters = "ABCDEFGHIJ"[: len(texts)]
    if answer in texts:
        answer = letters[texts.index(answer)]
    if len(answer) != 1 or answer.upper() not in letters:
        raise ProbeError(f"{row.where}: answer {answer!r} is neither a letter nor one of choices")
    return answer.upper(), {"letters": letters, "choices": texts}


def _json_schema(row: Row) -> Reading:
    schema = _parsed(row, "answer", dict)
    if schema is None:
        raise ProbeError(f"{row.where}: answer, the JSON schema, is missing")
    try:
        import jsonschema
    except ImportError as error:
        raise ProbeError("the json-schema scorer needs: pip install jsonschema") from error
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ProbeError(f"{row.where}: answer is not a JSON schema: {error.message}") from error
    return json.dumps(schema, sort_keys=True), {}


_READERS: dict[str, Callable[[Row], Reading]] = {
    "choice": _choice,
    "contains": _contains,
    "integer": _integer,
    "json-schema": _json_schema,
    "regex": _regex,
}
