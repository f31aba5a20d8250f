"""MATH-500: the problems of MATH that OpenAI kept for tests (Lightman et al. 2023)."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import BOXED_PROMPT, Benchmark, BenchmarkProbe, boxed_problem
from mi_tui.probes.data_files import Record
from mi_tui.probes.problem import Problem


class Math500Probe(BenchmarkProbe):
    """MATH-500: 500 problems of school competitions, math equivalence of the boxed answer."""

    kind: Literal["math500"]
    source: str = "HuggingFaceH4/MATH-500"
    max_new_tokens: int = Field(default=32768, ge=1)


class Math500(Benchmark[Math500Probe]):
    """Columns ``problem`` and ``answer``, LaTeX; ``level``, 1 to 5, makes the strata."""

    name = "math500"
    order = 15
    title = "MATH-500"
    about = "MATH-500: 500 problems of school competitions"
    plan = Math500Probe
    scorer = "math"
    records = 500
    columns = "`problem`, `answer`, optionally `level`"
    prompt = BOXED_PROMPT
    scoring = "`math` on the last box"

    def problem(self, record: Record, number: int) -> Problem:
        """The problem, in the stratum of its level."""
        level = record.values.get("level")
        return boxed_problem(
            record.text("problem"),
            record.text("answer"),
            f"{number:03d}",
            stratum="" if level is None else f"level {level}",
        )


PROBE_KINDS.register(Math500())
