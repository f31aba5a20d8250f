"""HMMT February 2025 as MathArena asks it: its data set and its instruction."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import BOXED_PROMPT, Benchmark, BenchmarkProbe, boxed_problem
from mi_tui.probes.data_files import Record
from mi_tui.probes.problem import Problem


class Hmmt25Probe(BenchmarkProbe):
    """HMMT'25: 30 problems with answers in LaTeX, math equivalence of the boxed answer."""

    kind: Literal["hmmt25"]
    source: str = "MathArena/hmmt_feb_2025"
    max_new_tokens: int = Field(default=81920, ge=1)


class Hmmt25(Benchmark[Hmmt25Probe]):
    """Columns ``problem`` and ``answer``, LaTeX."""

    name = "hmmt25"
    order = 14
    title = "HMMT'25"
    about = "HMMT'25: 30 harder problems, answers in LaTeX"
    plan = Hmmt25Probe
    scorer = "math"
    records = 30
    split = "train"
    columns = "`problem`, `answer`"
    prompt = BOXED_PROMPT
    scoring = "`math` on the last box"

    def problem(self, record: Record, number: int) -> Problem:
        """The problem with MathArena's instruction."""
        return boxed_problem(record.text("problem"), record.text("answer"), f"{number:02d}")


PROBE_KINDS.register(Hmmt25())
