"""The paper's benchmarks, on small files of our own in the data sets' schemas."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.aime25 import AimeProbe
from mi_tui.probes.kinds.gpqa_diamond import GpqaProbe
from mi_tui.probes.kinds.ifeval import IfevalProbe
from mi_tui.probes.scoring.judge import judge


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("column", ["problem", "question"])
def test_aime_asks_for_a_box_and_is_judged_by_value(column: str, tmp_path: Path) -> None:
    rows = [{"id": n, column: f"Find {n}.", "answer": f"{n:03d}"} for n in range(1, 9)]
    probe = freeze(AimeProbe(kind="aime25", path=write(tmp_path / "aime.jsonl", rows)))
    assert (probe.name, probe.scorer, probe.max_new_tokens) == ("aime25", "math", 81920)
    assert probe.problems[0].messages[0]["content"] == (
        "Find 1.\nPlease reason step by step, and put your final answer within \\boxed{}."
    )
    problem = probe.problems[6]
    assert judge("math", problem, "so</think>\\boxed{7}", truncated=False).value == 1.0
    assert judge("math", problem, "so</think>\\boxed{\\frac{14}{2}}", truncated=False).value == 1.0
    assert judge("math", problem, "\\boxed{7}</think>\\boxed{8}", truncated=False).value == 0.0


GPQA_ROWS = [
    {
        "Question": f"Question {n}?",
        "Correct Answer": "right",
        "Incorrect Answer 1": "wrong 1",
        "Incorrect Answer 2": "wrong 2",
        "Incorrect Answer 3": "wrong 3",
        "High-level domain": ["Physics", "Biology"][n % 2],
    }
    for n in range(1, 9)
]


def test_gpqa_has_the_prompt_and_the_choice_order_of_the_paper(tmp_path: Path) -> None:
    probe = freeze(GpqaProbe(kind="gpqa-diamond", path=write(tmp_path / "g.jsonl", GPQA_ROWS)))
    assert (probe.scorer, probe.max_new_tokens) == ("choice", 65536)
    # OpenCompass turns the choices by the row's number, from 1: BCDA, CDAB, DABC, ABCD.
    assert [problem.answer for problem in probe.problems] == list("DCBADCBA")
    assert probe.problems[0].messages[0]["content"] == (
        "Answer the following multiple choice question. The last line of your response should be "
        "of the following format: 'ANSWER: $LETTER' (without quotes) where LETTER is one of ABCD. "
        "Think step by step before answering.\n\nQuestion 1?\n\n"
        "A) wrong 1\nB) wrong 2\nC) wrong 3\nD) right"
    )
    response = "ANSWER: A is tempting</think>B? No.\nANSWER: \\boxed{D}"
    assert judge("choice", probe.problems[0], response, truncated=False).value == 1.0
    held_out = [problem.stratum for problem in probe.problems if problem.split == "held-out"]
    assert sorted(held_out) == ["Biology", "Physics"]


def test_gpqa_reads_the_csv_it_is_published_as(tmp_path: Path) -> None:
    header = list(GPQA_ROWS[0])
    lines = [",".join(header)] + [",".join(str(row[k]) for k in header) for row in GPQA_ROWS]
    path = tmp_path / "gpqa_diamond.csv"
    path.write_text("\n".join(lines))
    from_csv = freeze(GpqaProbe(kind="gpqa-diamond", path=str(path)))
    from_jsonl = freeze(GpqaProbe(kind="gpqa-diamond", path=write(tmp_path / "g.jsonl", GPQA_ROWS)))
    assert from_csv.sha256 == from_jsonl.sha256


@pytest.mark.parametrize(
    ("plan", "row", "message"),
    [
        (AimeProbe(kind="aime25"), {"problem": "?"}, "row 1: answer is missing"),
        (AimeProbe(kind="aime25"), {"problem": "?", "answer": "x"}, "row 1: answer 'x' is not an"),
        (GpqaProbe(kind="gpqa-diamond"), {"Question": "?"}, "row 1: Correct Answer is missing"),
        (
            IfevalProbe(kind="ifeval"),
            {"key": 1, "prompt": "?", "instruction_id_list": ["a"], "kwargs": []},
            "must be lists of the same length",
        ),
    ],
)
def test_a_row_outside_the_schema_is_named(
    plan: AimeProbe | GpqaProbe | IfevalProbe, row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "data.jsonl", [row])
    with pytest.raises(ProbeError, match=message):
        freeze(plan.model_copy(update={"path": path}))


@pytest.mark.parametrize(
    ("plan", "asked"),
    [
        (AimeProbe(kind="aime25"), [("math-ai/aime25", None, "test")]),
        (
            AimeProbe(kind="aime25", source="opencompass/AIME2025"),
            [
                ("opencompass/AIME2025", "AIME2025-I", "test"),
                ("opencompass/AIME2025", "AIME2025-II", "test"),
            ],
        ),
        (GpqaProbe(kind="gpqa-diamond"), [("Idavidrein/gpqa", "gpqa_diamond", "train")]),
    ],
)
def test_the_hub_is_asked_for_the_right_part(
    plan: AimeProbe | GpqaProbe, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def load_dataset(source: str, name: str | None, *, split: str) -> list[dict[str, Any]]:
        calls.append((source, name, split))
        return [{**GPQA_ROWS[n], "question": f"{name} {n}?", "answer": n} for n in range(4)]

    hub = SimpleNamespace(load_dataset=load_dataset, disable_progress_bars=lambda: None)
    monkeypatch.setitem(sys.modules, "datasets", hub)
    assert len(freeze(plan).problems) == 4 * len(asked)
    assert calls == asked


def refuse(message: str) -> Any:
    def load_dataset(*_: Any, **__: Any) -> None:
        raise RuntimeError(message)

    return SimpleNamespace(load_dataset=load_dataset, disable_progress_bars=lambda: None)


def test_a_gated_data_set_says_how_to_get_access(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "Dataset 'Idavidrein/gpqa' is a gated dataset on the Hub. You must be authenticated."
    monkeypatch.setitem(sys.modules, "datasets", refuse(reason))
    with pytest.raises(ProbeError) as caught:
        freeze(GpqaProbe(kind="gpqa-diamond"))
    assert str(caught.value) == (
        "GPQA-Diamond is gated and your token lacks access: accept its terms on "
        "https://huggingface.co/datasets/Idavidrein/gpqa, log in with: hf auth login, "
        "and start again"
    )


def test_without_the_hub_a_local_file_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", refuse("Couldn't reach the Hub\n(offline)"))
    with pytest.raises(ProbeError, match=r"Couldn't reach the Hub \(offline\); with path ="):
        freeze(AimeProbe(kind="aime25"))


def test_without_the_extra_the_message_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ProbeError, match=r"pip install 'mi-tui\[benchmarks\]'"):
        freeze(AimeProbe(kind="aime25"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    path = write(tmp_path / "ifeval.jsonl", IFEVAL_ROWS)
    with pytest.raises(ProbeError, match=r"pip install 'mi-tui\[benchmarks\]'"):
        freeze(IfevalProbe(kind="ifeval", path=path))


NONE = {"num_words": None, "relation": None, "keywords": None}
IFEVAL_ROWS: list[dict[str, Any]] = [
    {
        "key": 1000,
        "prompt": "Write about rain in no more than 10 words, without commas.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [NONE, {**NONE, "relation": "less than", "num_words": 10}],
    },
    {
        "key": 1001,
        "prompt": "Write about rain. Use the word cloud.",
        "instruction_id_list": ["keywords:existence"],
        "kwargs": [{**NONE, "keywords": ["cloud"]}],
    },
]


def test_ifeval_is_scored_prompt_level_strict_without_the_thought(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("langdetect")
    probe = freeze(IfevalProbe(kind="ifeval", path=write(tmp_path / "i.jsonl", IFEVAL_ROWS)))
    assert (probe.scorer, probe.max_new_tokens) == ("ifeval", 65536)
    rain, cloud = probe.problems
    thought = "First, let me think, with commas, and many more words than ten in it."
    for problem, response, value in [
        (rain, f"{thought}</think>Rain falls softly.", 1.0),
        (rain, f"{thought}</think>Rain, softly.", 0.0),
        (rain, "Rain falls on the roof and the street and the garden and the sea", 0.0),
        (cloud, "A cloud, then rain.", 1.0),
        (cloud, "cloud</think>Only rain.", 0.0),
        (cloud, "", 0.0),
    ]:
        assert judge("ifeval", problem, response, truncated=False).value == value


def test_ifeval_scores_equal_those_of_lm_eval(tmp_path: Path) -> None:
    utils = pytest.importorskip("lm_eval.tasks.ifeval.utils")
    probe = freeze(IfevalProbe(kind="ifeval", path=write(tmp_path / "i.jsonl", IFEVAL_ROWS)))
    for problem, row in zip(probe.problems, IFEVAL_ROWS, strict=True):
        for response in ("Rain.", "A cloud, rain.", "cloud " * 20, "", "\x00\ud800", "。" * 1000):
            theirs = utils.process_results(row, [response])["prompt_level_strict_acc"]
            ours = judge("ifeval", problem, response, truncated=False)
            assert ours.value == float(theirs)


SENTENCES = {
    "key": 1002,
    "prompt": "Write at least two sentences.",
    "instruction_id_list": ["length_constraints:number_sentences"],
    "kwargs": [{"relation": "at least", "num_sentences": 2}],
}


def test_ifeval_counts_sentences_with_the_splitter_of_nltk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nltk = pytest.importorskip("nltk")
    pytest.importorskip("lm_eval")
    # A splitter that has learnt nothing is enough for plain sentences.
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    for name in (
        "collocations.tab",
        "sent_starters.txt",
        "abbrev_types.txt",
        "ortho_context.tab",
    ):
        (folder / name).write_text("")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    probe = freeze(IfevalProbe(kind="ifeval", path=write(tmp_path / "i.jsonl", [SENTENCES])))
    for response, value in [("One. Two.", 1.0), ("One, two", 0.0)]:
        score = judge("ifeval", probe.problems[0], response, truncated=False)
        assert score.value == value


def test_ifeval_says_when_the_sentence_splitter_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nltk = pytest.importorskip("nltk")
    pytest.importorskip("lm_eval")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: False)
    with pytest.raises(ProbeError, match=r"python -m nltk\.downloader punkt_tab"):
        freeze(IfevalProbe(kind="ifeval", path=write(tmp_path / "i.jsonl", [SENTENCES])))
