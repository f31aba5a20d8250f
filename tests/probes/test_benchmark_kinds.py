"""AIME'24, HMMT'25, MATH-500, GSM8K and MMLU-Pro, on files of our own in their schemas."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.probe_kind import kind_of
from mi_tui.probes.problem import Probe
from mi_tui.probes.prompts import BOXED
from mi_tui.probes.scoring.judge import judge

RECORDS: dict[str, dict[str, Any]] = {
    "aime24": {
        "id": 7,
        "problem": "Find seven.",
        "solution": "It is 7.",
        "answer": "007",
        "url": "https://example.org",
        "year": "2024",
    },
    "hmmt25": {
        "problem_idx": 1,
        "problem": "Halve a third.",
        "answer": "\\frac{1}{6}",
        "problem_type": ["Algebra"],
    },
    "math500": {
        "problem": "Which pair?",
        "solution": "We see.",
        "answer": "(3, 4)",
        "subject": "Algebra",
        "level": 2,
        "unique_id": "test/algebra/1.json",
    },
    "gsm8k": {"question": "How many?", "answer": "500 + 734 = <<500+734=1234>>1234\n#### 1,234"},
    "mmlu-pro": {
        "question_id": 1,
        "question": "Which one?",
        "options": [f"option {n}" for n in range(10)],
        "answer": "J",
        "answer_index": 9,
        "cot_content": "",
        "category": "law",
        "src": "own",
    },
}


def frozen(kind: str, record: dict[str, Any], folder: Path) -> Probe:
    path = folder / "records.jsonl"
    path.write_text("\n".join([json.dumps(record)] * 4), encoding="utf-8")
    return freeze(kind_of(kind).new(path=str(path)))


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "cap"),
    [
        ("aime24", "\\boxed{7}", "\\boxed{8}", 81920),
        ("hmmt25", "\\boxed{\\frac{2}{12}}", "\\boxed{\\frac{1}{5}}", 81920),
        ("math500", "\\boxed{(3,4)}", "\\boxed{(4,3)}", 32768),
        ("gsm8k", "\\boxed{1234}", "\\boxed{1}, then 234", 32768),
        ("mmlu-pro", "ANSWER: J", "ANSWER: A", 32768),
    ],
)
def test_a_record_is_asked_in_the_published_words_and_judged(
    kind: str, right: str, wrong: str, cap: int, tmp_path: Path
) -> None:
    probe = frozen(kind, RECORDS[kind], tmp_path)
    assert (probe.name, probe.scorer) == (kind, kind_of(kind).scorer)
    assert probe.max_new_tokens == cap
    problem = probe.problems[0]
    content = problem.messages[0]["content"]
    if kind == "mmlu-pro":
        assert "where LETTER is one of ABCDEFGHIJ." in content
        assert content.endswith(
            "\n\nWhich one?\n\n"
            + "\n".join(f"{letter}) option {n}" for n, letter in enumerate("ABCDEFGHIJ"))
        )
        assert problem.stratum == "law"
    else:
        question = RECORDS[kind].get("problem") or RECORDS[kind]["question"]
        assert content == f"{question}\n{BOXED}"
    assert judge(probe.scorer, problem, f"so</think>{right}", truncated=False).value == 1.0
    assert judge(probe.scorer, problem, f"{right}</think>{wrong}", truncated=False).value == 0.0


def test_math_500_is_split_by_level(tmp_path: Path) -> None:
    assert frozen("math500", RECORDS["math500"], tmp_path).problems[0].stratum == "level 2"


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("aime24", {"answer": "x"}, "row 1: answer 'x' is not an integer"),
        ("hmmt25", {"answer": ""}, "row 1: answer is missing"),
        ("math500", {"problem": None}, "row 1: problem is missing"),
        ("gsm8k", {"answer": "It is 12."}, "row 1: answer does not end with #### and an integer"),
        ("gsm8k", {"answer": "So #### a few"}, "does not end with #### and an integer"),
        ("mmlu-pro", {"options": "one"}, "row 1: options is not JSON"),
        ("mmlu-pro", {"options": ["one"]}, "row 1: options must be a list of 2 to 10"),
        ("mmlu-pro", {"options": ["a", "b"]}, "row 1: answer 'J' is not a letter of AB"),
        ("mmlu-pro", {"answer": ""}, "row 1: answer is missing"),
    ],
)
def test_a_record_outside_the_schema_is_refused(
    kind: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProbeError) as caught:
        frozen(kind, RECORDS[kind] | changed, tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("aime24", ("HuggingFaceH4/aime_2024", None, "train")),
        ("hmmt25", ("MathArena/hmmt_feb_2025", None, "train")),
        ("math500", ("HuggingFaceH4/MATH-500", None, "test")),
        ("gsm8k", ("openai/gsm8k", "main", "test")),
        ("mmlu-pro", ("TIGER-Lab/MMLU-Pro", None, "test")),
    ],
)
def test_without_a_file_the_hub_is_asked(
    kind: str, asked: tuple[str, str | None, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def load_dataset(source: str, name: str | None, split: str) -> list[dict[str, Any]]:
        calls.append((source, name, split))
        return [RECORDS[kind]] * 2

    library = SimpleNamespace(load_dataset=load_dataset, disable_progress_bars=lambda: None)
    monkeypatch.setitem(sys.modules, "datasets", library)
    assert len(freeze(kind_of(kind).new()).problems) == 2
    assert calls == [asked]
