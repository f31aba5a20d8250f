"""IFEval as the paper ran it: OpenCompass ``IFEval_gen_353ae7``."""

import re
from typing import Any, Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.benchmark import Benchmark, BenchmarkProbe
from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem
from mi_tui.probes.scorers.ifeval import check_ifeval_is_installed

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "keywords:existence": ("keywords",),
    "keywords:frequency": ("keyword", "frequency", "relation"),
    "keywords:forbidden_words": ("forbidden_words",),
    "keywords:letter_frequency": ("letter", "let_frequency", "let_relation"),
    "language:response_language": ("language",),
    "length_constraints:number_sentences": ("num_sentences", "relation"),
    "length_constraints:number_paragraphs": ("num_paragraphs",),
    "length_constraints:number_words": ("num_words", "relation"),
    "length_constraints:nth_paragraph_first_word": (
        "num_paragraphs",
        "nth_paragraph",
        "first_word",
    ),
    "detectable_content:number_placeholders": ("num_placeholders",),
    "detectable_content:postscript": ("postscript_marker",),
    "detectable_format:number_bullet_lists": ("num_bullets",),
    "detectable_format:constrained_response": (),
    "detectable_format:number_highlighted_sections": ("num_highlights",),
    "detectable_format:multiple_sections": ("section_spliter", "num_sections"),
    "detectable_format:json_format": (),
    "detectable_format:title": (),
    "combination:two_responses": (),
    "combination:repeat_prompt": ("prompt_to_repeat",),
    "startend:end_checker": ("end_phrase",),
    "startend:quotation": (),
    "change_case:capital_word_frequency": ("capital_frequency", "capital_relation"),
    "change_case:english_capital": (),
    "change_case:english_lowercase": (),
    "punctuation:no_comma": (),
}
"""The instructions that there are checkers for, with their arguments' names: the registry of
IFEval (https://github.com/google-research/google-research, instruction_following_eval)."""

_LISTS = ("keywords", "forbidden_words")
_COUNTS = re.compile(r"num_.*|nth_paragraph|.*frequency")


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
        given = [
            _checked(record.where, name, one)
            for name, one in zip(instructions, arguments, strict=True)
        ]
        return Problem(
            id=record.text("key"),
            messages=({"role": "user", "content": record.text("prompt")},),
            answer="",
            stratum=f"{len(instructions)} instructions",
            meta={"instruction_id_list": list(instructions), "kwargs": given},
        )


PROBE_KINDS.register(Ifeval())


def _checked(where: str, instruction: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are given, whole numbers as such; refused where no checker takes them."""
    if not isinstance(instruction, str) or instruction not in ARGUMENTS:
        raise ProbeError(f"{where}: unknown instruction {instruction!r}: IFEval cannot check it")
    given = {}
    for name, value in arguments.items():
        if value is None:
            continue
        if name not in ARGUMENTS[instruction]:
            known = ", ".join(ARGUMENTS[instruction]) or "none"
            raise ProbeError(f"{where}: {instruction} takes no argument {name!r}; it takes {known}")
        given[name] = _argument(f"{where}: {name} of {instruction}", name, value)
    return given


def _argument(what: str, name: str, value: Any) -> Any:
    if name in _LISTS:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ProbeError(f"{what} must be a list of texts")
        return value
    if not _COUNTS.fullmatch(name):
        if not isinstance(value, str):
            raise ProbeError(f"{what} must be a text")
        return value
    # Parquet makes floats of whole numbers in a column with gaps.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProbeError(f"{what} must be a whole number")
    return value
