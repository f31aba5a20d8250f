"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168), asked for a box and without examples."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import BOXED_PROMPT, Benchmark, BenchmarkProbe, boxed_problem
from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.extraction import as_integer


class Gsm8kProbe(BenchmarkProbe):
    """GSM8K: 1,319 stories with integer answers, math equivalence of the boxed answer."""

    kind: Literal["gsm8k"]
    source: str = "openai/gsm8k"
    max_new_tokens: int = Field(default=32768, ge=1)


class Gsm8k(Benchmark[Gsm8kProbe]):
    """Columns ``question`` and ``answer``, a solution that ends with ``#### 42``."""

    name = "gsm8k"
    order = 16
    title = "GSM8K"
    about = "GSM8K: 1,319 stories with integer answers"
    plan = Gsm8kProbe
    scorer = "math"
    records = 1319
    config = "main"
    columns = "`question`, `answer` (its number behind `####`)"
    prompt = BOXED_PROMPT
    scoring = "`math` on the last box"

    def problem(self, record: Record, number: int) -> Problem:
        """The question; its answer is what stands behind the last ``####``."""
        _, mark, last = record.text("answer").rpartition("####")
        answer = as_integer(last) if mark else None
        if answer is None:
            raise ProbeError(f"{record.where}: answer does not end with #### and an integer")
        return boxed_problem(record.text("question"), str(answer), f"{number:04d}")


PROBE_KINDS.register(Gsm8k())
