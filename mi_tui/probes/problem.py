"""Problems, probes and scores."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Split = Literal["search", "held-out"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One question.

    ``messages`` are chat messages (``{"role": …, "content": …}``) that the chat template turns
    into a prompt. ``answer`` is what the scorer compares with. ``stratum`` groups problems of
    like difficulty or kind; the split into search and held-out parts keeps their proportions.
    ``meta`` is for the scorer and must be JSON.
    """

    id: str
    messages: tuple[dict[str, str], ...]
    answer: str
    split: Split = "search"
    stratum: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """A frozen list of problems with the name of its scorer.

    ``max_new_tokens`` is the cap at which a response is cut; ``weight`` is the probe's share of
    the study's score.
    """

    name: str
    scorer: str
    problems: tuple[Problem, ...]
    max_new_tokens: int
    weight: float = 1.0

    def to_json(self) -> str:
        """The probe as one canonical JSON text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Probe":
        """The inverse of :meth:`to_json`."""
        data = json.loads(text)
        problems = tuple(
            Problem(**{**p, "messages": tuple(p["messages"])}) for p in data.pop("problems")
        )
        return cls(problems=problems, **data)

    @property
    def sha256(self) -> str:
        """The hash of the content: two studies with equal hashes asked the same."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Score:
    """The judgement of one response.

    ``value`` is 1.0 (correct), 0.0 or, for graded scorers, in between; ``None``: not scored, which
    is not wrong, and ``failure`` then says why (crash, time limit). ``answer`` is what was
    extracted from the response, ``None`` when nothing was found.
    """

    value: float | None
    answer: str | None = None
    failure: str | None = None


class Scorer(Protocol):
    """Judges one response. ``response`` has its thinking stripped already."""

    def __call__(self, problem: Problem, response: str) -> Score:
        """The score of one response to the problem; may raise anything, and may hang."""
