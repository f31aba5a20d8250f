"""Rows of IFEval that could never be scored are named before anything is generated."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from mi_tui.probes.data_files import Record
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.ifeval import ARGUMENTS, Ifeval, IfevalProbe
from mi_tui.probes.problem import Problem
from mi_tui.probes.scorers.ifeval import NEEDS_SENTENCES, has_sentence_splitter
from mi_tui.probes.scoring.judge import judge
from tests.probes.scoring.hostile import HOSTILE

_FIRST_WORD = "length_constraints:nth_paragraph_first_word"


def _record(instruction: object, arguments: dict[str, Any]) -> Record:
    values = {"key": 1, "prompt": "?", "instruction_id_list": [instruction], "kwargs": [arguments]}
    return Record("rows.jsonl row 3", values)


@pytest.mark.parametrize(
    ("instruction", "arguments", "said"),
    [
        ("writing:must_rhyme", {}, "unknown instruction 'writing:must_rhyme'"),
        (7, {}, "unknown instruction 7"),
        (_FIRST_WORD, {"word": "x", "num_paragraphs": 3}, "takes no argument 'word'; it takes num"),
        ("punctuation:no_comma", {"commas": 0}, "takes no argument 'commas'; it takes none"),
        (_FIRST_WORD, {"num_paragraphs": 2.5}, "num_paragraphs of .* must be a whole number"),
        (_FIRST_WORD, {"nth_paragraph": "1"}, "nth_paragraph of .* must be a whole number"),
        ("keywords:existence", {"keywords": "word"}, "keywords of .* must be a list of texts"),
        ("startend:end_checker", {"end_phrase": 3}, "end_phrase of .* must be a text"),
    ],
)
def test_what_no_checker_takes_is_named(
    instruction: object, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProbeError, match=rf"^rows.jsonl row 3: .*{said}"):
        Ifeval().problem(_record(instruction, arguments), 3)


def test_floats_that_parquet_made_of_whole_numbers_are_whole_numbers_again() -> None:
    given = {"num_paragraphs": 2.0, "nth_paragraph": 1.0, "first_word": "x", "keywords": None}
    meta = Ifeval().problem(_record(_FIRST_WORD, given), 1).meta
    assert json.dumps(meta["kwargs"]) == json.dumps(
        [{"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "x"}]
    )


def test_the_first_bad_row_ends_the_freezing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = {
        "key": 1,
        "prompt": "?",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    }
    bad = {**good, "key": 2, "instruction_id_list": ["writing:must_rhyme"]}
    path.write_text("\n".join(map(json.dumps, (good, bad))))
    with pytest.raises(ProbeError, match="row 2: unknown instruction"):
        freeze(IfevalProbe(kind="ifeval", path=str(path)))


def test_the_list_is_that_of_the_checkers() -> None:
    registry = pytest.importorskip("lm_eval.tasks.ifeval.instructions_registry")
    assert set(ARGUMENTS) == set(registry.INSTRUCTION_DICT)
    for name, arguments in ARGUMENTS.items():
        checker = registry.INSTRUCTION_DICT[name](name)
        checker.build_description(**({"prompt_to_repeat": "x"} if "repeat" in name else {}))
        assert set(checker.get_instruction_args_keys()) == set(arguments)


@pytest.mark.parametrize("instruction", ARGUMENTS)
@given(text=HOSTILE)
@settings(max_examples=15, deadline=None)
def test_no_text_raises(instruction: str, text: str) -> None:
    pytest.importorskip("lm_eval.tasks.ifeval.instructions_registry")
    if instruction in NEEDS_SENTENCES and not has_sentence_splitter():
        pytest.skip("needs NLTK's punkt_tab")
    arguments = {"prompt_to_repeat": "x"} if "repeat" in instruction else {}
    meta = {"instruction_id_list": [instruction], "kwargs": [arguments]}
    problem = Problem("1", ({"role": "user", "content": "?"},), "", meta=meta)
    assert judge("ifeval", problem, text, False).value in (0.0, 1.0)
