"""Thinking and answer: the parts of a response.

One function decides for the think ratio, for what is scored, for truncated thoughts, for servers
and for what a reader is shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags

_QUOTES = frozenset("`'\"“”‘’«»")
_HARMONY_TURN = re.compile(r"(?:<\|end\|>)?\s*<\|start\|>assistant\s*\Z")
_SPACES = " \t"


@dataclass(frozen=True, slots=True)
class Parts:
    """A response taken apart.

    Attributes:
        thought: the thinking without its outer tags; ``None`` where there is none.
        answer: what stands behind it; the whole text where nothing is marked.
        closed: whether a thought was closed: what the think ratio counts.
        unfinished: whether the response ends inside its thinking, and so holds no answer.
    """

    thought: str | None
    answer: str
    closed: bool
    unfinished: bool


def parts_of(text: str, truncated: bool = False, tags: Sequence[ThinkingTags] = KNOWN) -> Parts:
    """The thinking and the answer of a response, in linear time.

    What stands before the last closing tag is thinking, whether or not the response opened it
    itself: some chat templates open it in the prompt. An opening tag that is never closed makes
    everything behind it thinking. Without any tag the whole text is the answer; a truncated one
    may be a thought that the prompt opened, and counts as unfinished.

    A tag that is only spoken of is none: in quotes or backticks anywhere, and, once a thought is
    closed, in the middle of a line between words (``the tag <think> opens a thought``).

    Args:
        text: the response as it was decoded, special tokens visible.
        truncated: whether the token cap cut it.
        tags: those that the model may use; of several, the first that occurs in the text counts.
    """
    for chosen in _used(text, tags):
        found = _split(text, chosen)
        if found is not None:
            return found
    return Parts(None, text, closed=False, unfinished=truncated)


def _split(text: str, chosen: ThinkingTags) -> Parts | None:
    """The parts as these tags mark them; ``None`` where they are only spoken of."""
    if chosen.answer_opening and chosen.answer_opening in text:
        return _answered(text, chosen)
    close = _last_close(text, chosen)
    start = 0 if close < 0 else close + len(chosen.closing)
    opening = _reopened(text, chosen, start, after_thought=close >= 0)
    if close < 0 and opening < 0:
        return None
    thought = "" if close < 0 else _without_opening(text[:close], chosen)
    answer, rest = text[start:], ""
    if opening >= 0:
        answer, rest = text[start:opening], text[opening + len(chosen.opening) :].strip()
    return Parts(
        thought="\n".join(part for part in (thought, rest) if part),
        answer=_without_answer_tags(answer, chosen),
        closed=close >= 0,
        unfinished=opening >= 0,
    )


def _used(text: str, tags: Sequence[ThinkingTags]) -> list[ThinkingTags]:
    """The tags that occur in the text, the first first."""
    places: dict[ThinkingTags, int] = {}
    for one in tags:
        marks = [one.opening, one.answer_opening, *([] if one.closes_else else [one.closing])]
        found = [at for mark in marks if mark and (at := text.find(mark)) >= 0]
        if found:
            places[one] = min(found)
    return sorted(places, key=places.__getitem__)


def _answered(text: str, tags: ThinkingTags) -> Parts:
    """A response that marks its answer."""
    before, _, answer = text.rpartition(tags.answer_opening)
    close = before.rfind(tags.closing)
    marked = tags.opening in before or (close >= 0 and not tags.closes_else)
    thought = before if close < 0 else before[:close]
    return Parts(
        thought=_without_opening(thought, tags) if marked else None,
        answer=_without_answer_tags(answer, tags),
        closed=marked,
        unfinished=False,
    )


def _without_opening(thought: str, tags: ThinkingTags) -> str:
    return thought.lstrip().removeprefix(tags.opening).strip()


def _without_answer_tags(answer: str, tags: ThinkingTags) -> str:
    if tags.closes_else:
        answer = _HARMONY_TURN.sub("", answer.strip()).removesuffix(tags.closing)
    if tags.answer_closing:
        answer = answer.strip().removesuffix(tags.answer_closing)
    return answer.strip()


def _last_close(text: str, tags: ThinkingTags) -> int:
    """Where the last closing tag begins that is not only spoken of; -1 where there is none."""
    first = text.find(tags.closing)
    at = text.rfind(tags.closing)
    while at >= 0:
        end = at + len(tags.closing)
        spoken_of = _is_quoted(text, at, end) or (at > first and _is_in_a_sentence(text, at, end))
        if not spoken_of:
            return at if not tags.closes_else or text.rfind(tags.opening, 0, at) >= 0 else -1
        at = text.rfind(tags.closing, 0, at)
    return -1


def _reopened(text: str, tags: ThinkingTags, start: int, *, after_thought: bool) -> int:
    """Where the first opening tag from ``start`` begins that is not only spoken of, or -1."""
    at = text.find(tags.opening, start)
    blank = len(text) - len(text.lstrip())
    while at >= 0:
        end = at + len(tags.opening)
        begins = not after_thought and at <= blank
        if begins or not (_is_quoted(text, at, end) or _is_in_a_sentence(text, at, end)):
            return at
        at = text.find(tags.opening, end)
    return -1


def _is_quoted(text: str, start: int, end: int) -> bool:
    return start > 0 and text[start - 1] in _QUOTES and text[end : end + 1] in _QUOTES - {""}


def _is_in_a_sentence(text: str, start: int, end: int) -> bool:
    """Whether a tag stands between the words of a line: the tag <think> opens a thought."""
    before, behind = text[max(start - 2, 0) : start], text[end : end + 2]
    follows_word = len(before) == 2 and before[1] in _SPACES and _is_word(before[0])
    follows_word = follows_word or before[-1:] in ("(", "[")
    goes_on = bool(behind) and (
        behind[0] in ".,;:)]!?" or (len(behind) == 2 and behind[0] in _SPACES and behind[1] > " ")
    )
    return follows_word and goes_on


def _is_word(character: str) -> bool:
    return character.isalnum() or character in ",;:)"
