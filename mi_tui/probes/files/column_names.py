"""Columns by other names: which column of a file is the prompt, and which the answer."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Reads = Callable[[Mapping[str, Any]], bool]
"""Whether a scorer can take the answer from a row."""

USUAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "prompt": (
            "prompt",
            "question",
            "problem",
            "instruction",
            "query",
            "input",
            "task",
            "user",
            "text",
        ),
        "messages": ("messages", "conversation", "conversations", "chat", "dialogue"),
        "answer": (
            "answer",
            "finalanswer",
            "correctanswer",
            "target",
            "expected",
            "expectedanswer",
            "groundtruth",
            "gold",
            "label",
            "answers",
            "solution",
            "reference",
            "output",
            "response",
            "completion",
            "result",
        ),
        "choices": ("choices", "options", "answerchoices"),
    }
)
"""What a column is called in public data sets, letters and digits alone, the likeliest first."""

_SOMETHING_ELSE = re.compile(
    r"(?:.*id|index|idx|key|name|uid|uuid|no|number|row|stratum|category|subject|topic|domain|level"
    r"|difficulty|type|source|split|year|url|date|language|scorer|pattern|system)"
)
"""Columns that are never guessed to be the answer by what they hold."""

_LOOKED_AT = 200
"""Rows whose content is looked at."""


def columns_of(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of all columns, in their order."""
    return tuple(dict.fromkeys(name for row in rows for name in row))


def proposed_columns(rows: Rows, reads: Reads) -> dict[str, str]:
    """The columns of a file that stand for ``prompt`` (or ``messages``), ``answer``, ``choices``.

    By name first, then by content: the prompt is the longest text, the answer the shortest that
    the scorer can read. Empty where nothing is missing, or where the answer or the prompt cannot
    be told.

    Args:
        rows: the columns of each record, as they are called in the file.
        reads: whether the scorer can take the answer from a row, whose columns have the names
            proposed.
    """
    rows = rows[:_LOOKED_AT]
    columns = columns_of(rows)
    proposed: dict[str, str] = {}
    if not {"prompt", "messages"} & set(columns):
        chats = [name for name in columns if all(_is_chat(row.get(name)) for row in rows)]
        chat = _first(chats, "messages")
        prompt = chat or _prompt(rows, columns)
        if prompt is None:
            return {}
        proposed["messages" if chat else "prompt"] = prompt
    if "choices" not in columns:
        lists = [name for name in columns if all(isinstance(row.get(name), list) for row in rows)]
        choices = _first(lists, "choices")
        if choices:
            proposed["choices"] = choices
            rows = [{**row, "choices": row[choices]} for row in rows]
    if "answer" not in columns:
        left = [name for name in columns if name not in proposed.values()]
        answer = _answer(rows, left, reads)
        if answer is None:
            return {}
        proposed["answer"] = answer
    return proposed if {"prompt", "messages", "answer"} & set(proposed) else {}


def _first(columns: Sequence[str], of: str) -> str | None:
    """The likeliest of these columns by name."""
    by_name = {_plain(name): name for name in reversed(columns)}
    return next((by_name[usual] for usual in USUAL[of] if usual in by_name), None)


def _prompt(rows: Rows, columns: Sequence[str]) -> str | None:
    texts = [name for name in columns if all(_is_text(row.get(name)) for row in rows)]
    named = _first(texts, "prompt")
    others = [
        name
        for name in texts
        if _plain(name) not in USUAL["answer"] and not _SOMETHING_ELSE.fullmatch(_plain(name))
    ]
    return named or max(others, key=lambda name: _length(rows, name), default=None)


def _answer(rows: Rows, columns: Sequence[str], reads: Reads) -> str | None:
    filled = [name for name in columns if all(row.get(name) not in (None, "") for row in rows)]
    fit = [name for name in filled if all(reads({**row, "answer": row[name]}) for row in rows)]
    named = _first(fit, "answer") or _first(filled, "answer")
    others = [
        name
        for name in fit
        if _plain(name) not in USUAL["prompt"] and not _SOMETHING_ELSE.fullmatch(_plain(name))
    ]
    return named or min(others, key=lambda name: _length(rows, name), default=None)


def _length(rows: Rows, name: str) -> float:
    return fmean(len(str(row.get(name, ""))) for row in rows)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and {"role", "content"} <= set(one) for one in value
    )
