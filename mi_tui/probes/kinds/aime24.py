"""AIME'24, asked as the paper asks AIME'25."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import BOXED_PROMPT, Benchmark, BenchmarkProbe, boxed_integer_problem
from mi_tui.probes.data_files import Record
from mi_tui.probes.problem import Problem


class Aime24Probe(BenchmarkProbe):
    """AIME'24: 30 problems with integer answers, math equivalence of the boxed answer."""

    kind: Literal["aime24"]
    source: str = "HuggingFaceH4/aime_2024"
    max_new_tokens: int = Field(default=81920, ge=1)


class Aime24(Benchmark[Aime24Probe]):
    """Columns ``problem`` or ``question``, and ``answer``, an integer."""

    name = "aime24"
    order = 13
    title = "AIME'24"
    about = "AIME'24: 30 hard problems with integer answers"
    plan = Aime24Probe
    scorer = "math"
    records = 30
    split = "train"
    columns = "`problem` or `question`, `answer`"
    prompt = BOXED_PROMPT
    scoring = "`math` on the last box"

    def problem(self, record: Record, number: int) -> Problem:
        """The problem in the prompt of AIME'25."""
        return boxed_integer_problem(record, f"{number:02d}")


PROBE_KINDS.register(Aime24())
