"""IFEval as the paper ran it: OpenCompass ``IFEval_gen_353ae7``."""

from typing import Any, Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import Benchmark, BenchmarkProbe
from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem
from mi_tui.probes.scorers.ifeval import check_ifeval_is_installed


class IfevalProbe(BenchmarkProbe):
    """IFEval: 541 prompts with verifiable instructions, scored prompt-level strict."""

    kind: Literal["ifeval"]
    source: str = "google/IFEval"
    max_new_tokens: int = Field(default=65536, ge=1)


class Ifeval(Benchmark[IfevalProbe]):
    """Columns ``key``, ``prompt``, ``instruction_id_list`` and ``kwargs``, one per instruction."""

    name = "ifeval"
    order = 11
    title = "IFEval"
    about = "IFEval: 541 prompts with verifiable instructions"
    plan = IfevalProbe
    scorer = "ifeval"
    records = 541
    split = "train"
    columns = "`key`, `prompt`, `instruction_id_list`, `kwargs`"
    prompt = "as it is"
    scoring = "lm-eval's checkers, prompt-level strict"

    def draw(self, plan: IfevalProbe) -> list[Problem]:
        """All prompts, once it is sure that they can be scored."""
        problems = super().draw(plan)
        check_ifeval_is_installed(problems)
        return problems

    def problem(self, record: Record, number: int) -> Problem:  # noqa: ARG002
        """The prompt, with its instructions for the scorer."""
        instructions, arguments = (
            record.values.get("instruction_id_list"),
            record.values.get("kwargs"),
        )
        if not (
            isinstance(instructions, list)
            and isinstance(arguments, list)
            and instructions
            and len(instructions) == len(arguments)
            and all(isinstance(a, dict) for a in arguments)
        ):
            raise ProbeError(
                f"{record.where}: instruction_id_list and kwargs must be lists of the same length"
            )
        given: list[dict[str, Any]] = [
            {name: value for name, value in a.items() if value is not None} for a in arguments
        ]
        return Problem(
            id=record.text("key"),
            messages=({"role": "user", "content": record.text("prompt")},),
            answer="",
            stratum=f"{len(instructions)} instructions",
            meta={"instruction_id_list": list(instructions), "kwargs": given},
        )


PROBE_KINDS.register(Ifeval())
