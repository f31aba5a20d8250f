"""GPQA-Diamond as the paper ran it: OpenCompass ``gpqa_openai_simple_evals_gen_5aeece``."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import Benchmark, BenchmarkProbe
from mi_tui.probes.data_files import Record
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import choice_prompt

LETTERS = "ABCD"

_ORDERS = ("ABCD", "BCDA", "CDAB", "DABC")


class GpqaProbe(BenchmarkProbe):
    """GPQA-Diamond: 198 four-way choices, scored by the last ``ANSWER: X``."""

    kind: Literal["gpqa-diamond"]
    source: str = "Idavidrein/gpqa"
    max_new_tokens: int = Field(default=65536, ge=1)


class GpqaDiamond(Benchmark[GpqaProbe]):
    """Columns ``Question``, ``Correct Answer`` and ``Incorrect Answer 1`` to ``3``.

    Problems are stratified by ``High-level domain`` where that is given.
    """

    name = "gpqa-diamond"
    order = 12
    title = "GPQA-Diamond"
    about = "GPQA-Diamond: 198 choices; gated: log in first"
    plan = GpqaProbe
    scorer = "choice"
    records = 198
    config = "gpqa_diamond"
    split = "train"
    gated = True
    columns = (
        "`Question`, `Correct Answer`, `Incorrect Answer 1` to `3`, optionally `High-level domain`"
    )
    prompt = "simple-evals, choices in OpenCompass's fixed order"
    scoring = "the last `ANSWER: X`"

    def problem(self, record: Record, number: int) -> Problem:
        """The question; the order of its choices depends on the number alone."""
        names = ["Correct Answer", *(f"Incorrect Answer {i}" for i in (1, 2, 3))]
        answers = [record.text(name) for name in names]
        order = _ORDERS[number % len(_ORDERS)]
        choices = [answers[LETTERS.index(letter)] for letter in order]
        return Problem(
            id=f"{number:03d}",
            messages=(
                {"role": "user", "content": choice_prompt(record.text("Question"), choices)},
            ),
            answer=LETTERS[order.index("A")],
            stratum=str(record.values.get("High-level domain") or ""),
            meta={"letters": LETTERS},
        )


PROBE_KINDS.register(GpqaDiamond())
