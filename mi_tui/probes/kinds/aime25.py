"""AIME'25 as the paper ran it: the released configuration ``evaluation/aime25.py``."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import BOXED_PROMPT, Benchmark, BenchmarkProbe, boxed_integer_problem
from mi_tui.probes.data_files import Record
from mi_tui.probes.problem import Problem

_TWO_PARTS = {"opencompass/AIME2025": ("AIME2025-I", "AIME2025-II")}
"""Sources whose problems come as several configurations."""


class AimeProbe(BenchmarkProbe):
    """AIME'25: 30 problems with integer answers, math equivalence of the boxed answer."""

    kind: Literal["aime25"]
    source: str = "math-ai/aime25"
    max_new_tokens: int = Field(default=81920, ge=1)


class Aime25(Benchmark[AimeProbe]):
    """Columns ``problem`` or ``question``, and ``answer``, an integer."""

    name = "aime25"
    order = 10
    title = "AIME'25"
    about = "AIME'25: 30 hard problems with integer answers"
    plan = AimeProbe
    scorer = "math"
    records = 30
    columns = "`problem` or `question`, `answer`"
    prompt = BOXED_PROMPT
    scoring = "`math` on the last box"

    def configs(self, source: str) -> tuple[str | None, ...]:
        """OpenCompass has the two papers apart."""
        return _TWO_PARTS.get(source, (None,))

    def problem(self, record: Record, number: int) -> Problem:
        """The problem in the paper's prompt."""
        return boxed_integer_problem(record, f"{number:02d}")


PROBE_KINDS.register(Aime25())
