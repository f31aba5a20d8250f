"""MMLU-Pro (Wang et al. 2024, arXiv 2406.01574), asked in simple-evals' words."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import Benchmark, BenchmarkProbe
from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import LETTERS, choice_prompt


class MmluProProbe(BenchmarkProbe):
    """MMLU-Pro: 12,032 choices among up to ten, scored by the last ``ANSWER: X``."""

    kind: Literal["mmlu-pro"]
    source: str = "TIGER-Lab/MMLU-Pro"
    max_new_tokens: int = Field(default=32768, ge=1)


class MmluPro(Benchmark[MmluProProbe]):
    """Columns ``question``, ``options`` and ``answer``, a letter; ``category`` makes the strata."""

    name = "mmlu-pro"
    order = 17
    title = "MMLU-Pro"
    about = "MMLU-Pro: 12,032 choices of up to ten"
    plan = MmluProProbe
    scorer = "choice"
    records = 12032
    columns = "`question`, `options` (a list), `answer` (a letter), optionally `category`"
    prompt = "simple-evals, choices in their order, without examples"
    scoring = "the last `ANSWER: X`"

    def problem(self, record: Record, number: int) -> Problem:
        """The question with as many letters as it has options."""
        options = [str(option) for option in record.parsed("options", list) or ()]
        if not 2 <= len(options) <= len(LETTERS):
            raise ProbeError(f"{record.where}: options must be a list of 2 to {len(LETTERS)}")
        letters, answer = LETTERS[: len(options)], record.text("answer").strip()
        if len(answer) != 1 or answer not in letters:
            raise ProbeError(f"{record.where}: answer {answer!r} is not a letter of {letters}")
        content = choice_prompt(record.text("question"), options)
        return Problem(
            id=f"{number:05d}",
            messages=({"role": "user", "content": content},),
            answer=answer,
            stratum=str(record.values.get("category") or ""),
            meta={"letters": letters},
        )


PROBE_KINDS.register(MmluPro())
