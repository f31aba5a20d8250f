"""JSON that a schema accepts."""

import contextlib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError, ScorerError
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.scorer import SCORERS, Reading, ScorerKind


def json_schema_scorer() -> Scorer:
    """Correct when the response holds a JSON value that the schema in the answer accepts.

    The value is the whole response, else its last fenced block of JSON, else the last object that
    stands in either, else the last array; the array first where the schema asks for one.

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
        wants_array = json.loads(problem.answer).get("type") == "array"
        found, value = _find_json(response, wants_array)
        if found is None:
            return Score(0.0)
        return Score(float(validator(problem.answer).is_valid(value)), found)

    return score


_FENCE = re.compile(r"```[ \t]{0,4}([A-Za-z0-9+#-]{0,20})[ \t]*\n?")
_OPENING = re.compile(r'\{\s{0,20}(?=["}])|\[\s{0,20}(?=["\[{\]\d-]|true\b|false\b|null\b)')
"""What an object or an array begins with; braces of LaTeX and of code rarely do."""

MAX_FAILURES = 100
"""So many beginnings that are no JSON are tried; each costs time that grows with the text."""


def _find_json(response: str, wants_array: bool) -> tuple[str | None, Any]:
    """The JSON that a response gives as its answer, as one canonical text and as a value."""
    for candidate in (response, text := _last_block(response)):
        with contextlib.suppress(ValueError, RecursionError):
            return _canonical(json.loads(candidate.strip().lstrip("\ufeff")))
    found = _values(text)
    kinds = (list, dict) if wants_array else (dict, list)
    for kind in kinds:
        if of_kind := [value for value in found if isinstance(value, kind)]:
            return _canonical(of_kind[-1])
    return None, None


def _canonical(value: Any) -> tuple[str, Any]:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)[:1000], value


def _last_block(response: str) -> str:
    """The last fenced block that is meant as JSON; the whole response where there is none."""
    fences = [*_FENCE.finditer(response)]
    for at in range((len(fences) - 1) // 2 * 2, -1, -2) if fences else ():
        end = fences[at + 1].start() if at + 1 < len(fences) else len(response)
        block = response[fences[at].end() : end]
        if fences[at][1].lower().startswith("json") or block.lstrip()[:1] in ("{", "["):
            return block
    return response


def _values(text: str) -> list[Any]:
    """The objects and arrays that stand in a text, outermost ones, in linear time."""
    found: list[Any] = []
    decoder, at, spent, failures = json.JSONDecoder(), 0, 0, 0
    while (opening := _OPENING.search(text, at)) is not None:
        if spent > 2 * len(text) or failures > MAX_FAILURES:
            break
        at = opening.start()
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            spent, at, failures = spent + error.pos - at, at + 1, failures + 1
        except RecursionError:
            return found
        else:
            found.append(value)
            at = end
    return found


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
        "the JSON it holds (the whole response, its last fenced block, or the last object in it) "
        "is valid under the schema in `answer`. A reference to another document is never fetched",
        lambda _: json_schema_scorer(),
        order=7,
        for_files=True,
        read=_read,
    )
)
