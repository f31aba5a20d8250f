"""JSON that a schema accepts."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError, ScorerError
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.scorer import SCORERS, Reading, ScorerKind


def json_schema_scorer() -> Scorer:
    """Correct when the response holds a JSON value that the schema in the answer accepts.

    The value is the whole response, else its last fenced block, else the outermost braces or
    brackets.

    Raises:
        ScorerError: the jsonschema library is not installed.
    """
    try:
        import jsonschema
        import referencing
    except ImportError as error:
        raise ScorerError("the json-schema scorer needs: pip install jsonschema") from error

    @lru_cache(maxsize=256)
    def validator(schema: str) -> Any:
        rules = json.loads(schema)
        kind = jsonschema.validators.validator_for(rules)
        # An empty registry: a reference to another document is never fetched.
        return kind(rules, registry=referencing.Registry())

    def score(problem: Problem, response: str) -> Score:
        found, value = _find_json(response)
        if found is None:
            return Score(0.0)
        return Score(float(validator(problem.answer).is_valid(value)), found)

    return score


def _find_json(response: str) -> tuple[str | None, Any]:
    fenced = response.split("```")[1::2]
    candidates = [response, *(block.removeprefix("json") for block in fenced[-1:])]
    for opening, closing in ("{}", "[]"):
        start, end = response.find(opening), response.rfind(closing)
        if 0 <= start < end:
            candidates.append(response[start : end + 1])
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return json.dumps(value, sort_keys=True, ensure_ascii=False)[:1000], value
    return None, None


def _read(record: Record) -> Reading:
    schema = record.parsed("answer", dict)
    if schema is None:
        raise ProbeError(f"{record.where}: answer, the JSON schema, is missing")
    try:
        import jsonschema
        from referencing.exceptions import Unresolvable
    except ImportError as error:
        raise ProbeError("the json-schema scorer needs: pip install jsonschema") from error
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ProbeError(f"{record.where}: answer is not a JSON schema: {error.message}") from error
    for reference in _references(schema):
        try:
            _resolver(schema).lookup(reference)
        except Unresolvable as error:
            raise ProbeError(
                f"{record.where}: answer refers to {reference!r}, which is not in the schema and "
                "is never fetched: put its definition under $defs"
            ) from error
    return json.dumps(schema, sort_keys=True), {}


def _references(schema: Any) -> Iterator[str]:
    """Every ``$ref`` of a schema."""
    parts = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if isinstance(reference := part.get("$ref"), str):
                yield reference
            parts += part.values()
        elif isinstance(part, list):
            parts += part


def _resolver(schema: dict[str, Any]) -> Any:
    """Finds what a schema refers to within itself."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012, specification_with

    rules = specification_with(schema.get("$schema", ""), default=DRAFT202012)
    return Registry().resolver_with_root(rules.create_resource(schema))


SCORERS.register(
    ScorerKind(
        "json-schema",
        "the JSON it holds (the whole response, its last fenced block, or the outermost braces) "
        "is valid under the schema in `answer`. A reference to another document is never fetched",
        lambda _: json_schema_scorer(),
        order=7,
        for_files=True,
        read=_read,
    )
)
