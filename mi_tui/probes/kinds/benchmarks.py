"""AIME'25, IFEval and GPQA-Diamond as the paper ran them.

Prompts and choice order are those of the released OpenCompass configurations
(github.com/wutaiqiang/MI, ``evaluation/``; OpenCompass ``gpqa_openai_simple_evals_gen_5aeece`` and
``IFEval_gen_353ae7``).
"""

from typing import Any

from mi_tui.paths import expanded
from mi_tui.plan.probe import AimeProbe, BenchmarkProbe, GpqaProbe, IfevalProbe
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.kinds.data_files import Row, read_file, read_hub
from mi_tui.probes.kinds.generated import BOXED
from mi_tui.probes.kinds.multiple_choice import LETTERS, choice_prompt
from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.extraction import as_integer
from mi_tui.probes.scoring.ifeval import check_ifeval_is_installed

_TWO_PARTS = {"opencompass/AIME2025": ("AIME2025-I", "AIME2025-II")}
"""Sources whose problems come as several configurations."""

_ORDERS = ("ABCD", "BCDA", "CDAB", "DABC")


def aime25(plan: AimeProbe) -> list[Problem]:
    """Columns ``problem`` or ``question``, and ``answer``, an integer.

    Raises:
        ProbeError: the data cannot be loaded or a row is not in the schema.
    """
    rows = _local(plan)
    if rows is None:
        parts = _TWO_PARTS.get(plan.source, (None,))
        rows = [row for part in parts for row in read_hub(plan.source, part, "test", "AIME'25")]
    return [_aime_problem(row, number) for number, row in enumerate(rows, start=1)]


def _aime_problem(row: Row, number: int) -> Problem:
    answer = as_integer(row.text("answer"))
    if answer is None:
        raise ProbeError(f"{row.where}: answer {row.text('answer')!r} is not an integer")
    content = f"{row.text('problem', 'question')}\n{BOXED}"
    return Problem(f"{number:02d}", ({"role": "user", "content": content},), str(answer))


def gpqa_diamond(plan: GpqaProbe) -> list[Problem]:
    """Columns ``Question``, ``Correct Answer`` and ``Incorrect Answer 1`` to ``3``.

    The order of the choices depends on the row's number alone, as in OpenCompass. Problems are
    stratified by ``High-level domain`` where that is given.

    Raises:
        ProbeError: the data cannot be loaded (or access is not granted), or a row is not in the
            schema.
    """
    rows = _local(plan)
    if rows is None:
        rows = read_hub(plan.source, "gpqa_diamond", "train", "GPQA-Diamond", gated=True)
    return [_gpqa_problem(row, number) for number, row in enumerate(rows, start=1)]


def _gpqa_problem(row: Row, number: int) -> Problem:
    names = ["Correct Answer", *(f"Incorrect Answer {i}" for i in (1, 2, 3))]
    answers = [row.text(name) for name in names]
    order = _ORDERS[number % len(_ORDERS)]
    choices = [answers[LETTERS.index(letter)] for letter in order]
    return Problem(
        id=f"{number:03d}",
        messages=({"role": "user", "content": choice_prompt(row.text("Question"), choices)},),
        answer=LETTERS[order.index("A")],
        stratum=str(row.values.get("High-level domain") or ""),
        meta={"letters": LETTERS},
    )


def ifeval(plan: IfevalProbe) -> list[Problem]:
    """Columns ``key``, ``prompt``, ``instruction_id_list`` and ``kwargs``, one per instruction.

    Raises:
        ProbeError: the data cannot be loaded, a row is not in the schema, or the checkers are
            not installed.
    """
    rows = _local(plan)
    if rows is None:
        rows = read_hub(plan.source, None, "train", "IFEval")
    problems = [_ifeval_problem(row) for row in rows]
    check_ifeval_is_installed(problems)
    return problems


def _ifeval_problem(row: Row) -> Problem:
    instructions, arguments = row.values.get("instruction_id_list"), row.values.get("kwargs")
    if not (
        isinstance(instructions, list)
        and isinstance(arguments, list)
        and instructions
        and len(instructions) == len(arguments)
        and all(isinstance(a, dict) for a in arguments)
    ):
        raise ProbeError(
            f"{row.where}: instruction_id_list and kwargs must be lists of the same length"
        )
    given: list[dict[str, Any]] = [
        {name: value for name, value in a.items() if value is not None} for a in arguments
    ]
    return Problem(
        id=row.text("key"),
        messages=({"role": "user", "content": row.text("prompt")},),
        answer="",
        stratum=f"{len(instructions)} instructions",
        meta={"instruction_id_list": list(instructions), "kwargs": given},
    )


def _local(plan: BenchmarkProbe) -> list[Row] | None:
    return None if plan.path is None else read_file(expanded(plan.path))
