"""The plans of probes, one for each kind."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mi_tui.plan.base import Plan

Difficulty = Annotated[int, Field(ge=1, le=5)]
"""1 is the easiest of the built-in problems, 5 the hardest."""


class ProbePlan(Plan):
    """What every probe has, whatever its source.

    ``problems`` limits how many are drawn (``None``: all there are); ``seed`` draws them and
    splits them; ``held_out`` is the share kept for confirming the recommendation; ``weight`` is
    the probe's share of the study's score; ``max_new_tokens`` is the cap at which a response is
    cut; ``samples`` are the samples per problem wanted of each coarse recipe and each row
    (``None``: the search's).
    """

    name: str = Field(default="", max_length=60)
    problems: int | None = Field(default=None, ge=2)
    seed: int = Field(default=0, ge=0)
    held_out: float = Field(default=0.25, ge=0.0, lt=1.0)
    weight: float = Field(default=1.0, gt=0.0)
    max_new_tokens: int = Field(default=32768, ge=1)
    samples: int | None = Field(default=None, ge=1)


class GeneratedProbe(ProbePlan):
    """Problems made up from the seed: no download, and never seen in anybody's training.

    There is no end to them, so ``problems`` left out means 100.
    """

    problems: int | None = Field(default=100, ge=2, le=5000)

    @property
    def count(self) -> int:
        """How many problems to make up."""
        return 100 if self.problems is None else self.problems


class ArithmeticProbe(GeneratedProbe):
    """Chains of + − × modulo 100, held out from the demo pair's training.

    ``operations`` are the lengths of the chains; they take turns.
    """

    kind: Literal["arithmetic"]
    operations: tuple[Annotated[int, Field(ge=2, le=5)], ...] = Field(
        default=(2, 3, 4, 5), min_length=1
    )

    @field_validator("operations")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))


class WordProblemsProbe(GeneratedProbe):
    """Stories with an integer answer; ``difficulty`` is about the number of steps to it."""

    kind: Literal["word-problems"]
    difficulty: tuple[Difficulty, ...] = Field(default=(2, 3, 4), min_length=1)


class MultipleChoiceProbe(GeneratedProbe):
    """Four-way choices that need reasoning: sequences, orderings, calendars, sets."""

    kind: Literal["multiple-choice"]
    difficulty: tuple[Difficulty, ...] = Field(default=(2, 3, 4), min_length=1)


class InstructionsProbe(GeneratedProbe):
    """Writing tasks with instructions a program can verify; ``difficulty`` is how many."""

    kind: Literal["instructions"]
    difficulty: tuple[Difficulty, ...] = Field(default=(1, 2, 3), min_length=1)


class BenchmarkProbe(ProbePlan):
    """A public data set, from the hub or from a local file (JSONL, CSV, Parquet) in its schema.

    ``path`` is the local file; without it ``source``, a data set on the hub, is loaded.
    """

    path: str | None = None


class AimeProbe(BenchmarkProbe):
    """AIME'25: 30 problems with integer answers, math equivalence of the boxed answer."""

    kind: Literal["aime25"]
    source: str = "math-ai/aime25"
    max_new_tokens: int = Field(default=81920, ge=1)


class IfevalProbe(BenchmarkProbe):
    """IFEval: 541 prompts with verifiable instructions, scored prompt-level strict."""

    kind: Literal["ifeval"]
    source: str = "google/IFEval"
    max_new_tokens: int = Field(default=65536, ge=1)


class GpqaProbe(BenchmarkProbe):
    """GPQA-Diamond: 198 four-way choices, scored by the last ``ANSWER: X``."""

    kind: Literal["gpqa-diamond"]
    source: str = "Idavidrein/gpqa"
    max_new_tokens: int = Field(default=65536, ge=1)


FileScorer = Literal["exact", "integer", "math", "choice", "regex", "contains", "json-schema"]


class FileProbe(ProbePlan):
    """The user's own problems: a JSONL or CSV file.

    Each row has ``prompt`` or ``messages``, an ``answer``, and optionally ``id``, ``stratum`` and
    ``scorer``, which overrules the one here. ``system`` is put before every row without a system
    message of its own.
    """

    kind: Literal["file"]
    path: str = Field(min_length=1)
    scorer: FileScorer = "exact"
    system: str = ""


class LmEvalProbe(ProbePlan):
    """A task of lm-eval, scored per response by its own filters and metric.

    ``task`` is a name that lm-eval knows, or else ``path`` is a task's YAML file. ``metric``
    picks one of the task's metrics, ``filter`` one of its filters; by default the first of each.
    """

    kind: Literal["lm-eval"]
    task: str | None = Field(default=None, min_length=1)
    path: str | None = Field(default=None, min_length=1)
    metric: str | None = None
    filter: str | None = None
    few_shot: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_source(self) -> "LmEvalProbe":
        if (self.task is None) == (self.path is None):
            raise ValueError("lm-eval needs either task, a name, or path, a YAML file")
        return self


AnyProbe = Annotated[
    ArithmeticProbe
    | WordProblemsProbe
    | MultipleChoiceProbe
    | InstructionsProbe
    | AimeProbe
    | IfevalProbe
    | GpqaProbe
    | FileProbe
    | LmEvalProbe,
    Field(discriminator="kind"),
]
"""The union of all probe plans, told apart by ``kind``."""
