"""The user's own problems: what is read, and what each bad row is told."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mi_tui.probes.data_files import read_file
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.user_file import FileProbe
from mi_tui.probes.probe_kind import kind_of
from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.judge import judge


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return str(path)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(k for r in rows for k in r)))
        writer.writeheader()
        for row in rows:
            cells = {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
            writer.writerow(cells)
    return str(path)


def problems(path: str, **options: Any) -> tuple[Problem, ...]:
    return freeze(FileProbe(kind="file", path=path, **options)).problems


ROWS: list[dict[str, Any]] = [
    {"prompt": "Capital of France?\nOne word.", "answer": "Paris", "stratum": "easy"},
    {"prompt": "2+2?", "answer": 4, "scorer": "integer", "id": "sum"},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Which\u2028is red?"},
        ],
        "choices": ["grass", "blood", "milk"],
        "answer": "blood",
        "scorer": "choice",
    },
    {"prompt": "Write JSON", "answer": {"type": "array"}, "scorer": "json-schema"},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_both_formats_say_the_same(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    name = write(path, ROWS) if suffix == ".jsonl" else write_csv(path, ROWS)
    first, second, third, fourth = problems(name, held_out=0.0)
    assert first.messages == ({"role": "user", "content": "Capital of France?\nOne word."},)
    assert (first.id, first.answer, first.stratum) == ("0001", "Paris", "easy")
    assert (second.id, second.answer) == ("sum", "4")
    assert third.answer == "B"
    assert third.messages[0] == {"role": "system", "content": "Be brief."}
    assert third.messages[1]["content"].endswith("A) grass\nB) blood\nC) milk")
    assert "Which\u2028is red?" in third.messages[1]["content"]
    for problem, right, wrong in [
        (first, "Paris", "Rome"),
        (second, "It is 4", "It is 5"),
        (third, "ANSWER: B", "ANSWER: A"),
        (fourth, "[1]", "{}"),
    ]:
        assert judge("exact", problem, right, truncated=False).value == 1.0
        assert judge("exact", problem, wrong, truncated=False).value == 0.0


def test_the_system_message_stands_before_rows_without_one(tmp_path: Path) -> None:
    first, _, third, _ = problems(write(tmp_path / "p.jsonl", ROWS), system="Help.", held_out=0.0)
    assert first.messages[0] == {"role": "system", "content": "Help."}
    assert third.messages[0] == {"role": "system", "content": "Be brief."}


def test_a_part_of_a_file_is_drawn_by_the_seed(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "answer": n, "stratum": "ab"[n % 2]} for n in range(1, 41)]
    path = write(tmp_path / "p.jsonl", rows)
    ten = problems(path, problems=10, scorer="integer")
    assert ten == problems(path, problems=10, scorer="integer")
    assert [p.answer for p in ten] != [p.answer for p in problems(path, problems=10, seed=1)]
    assert sum(p.stratum == "a" for p in ten) == 5
    assert len(problems(path, problems=99)) == 40


GOOD = {"prompt": "?", "answer": "1"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "1"}, "prompt is missing"),
    ({"prompt": "?"}, "answer is missing"),
    ({"prompt": " ", "answer": "1"}, "prompt is missing"),
    ({"prompt": ["?"], "answer": "1"}, "prompt must be text"),
    ({"prompt": "?", "answer": "1", "scorer": "bleu"}, "unknown scorer bleu: use one of exact"),
    ({"prompt": "?", "answer": "one", "scorer": "integer"}, "'one' is not an integer"),
    ({"prompt": "?", "answer": "(", "scorer": "regex"}, "not a regular expression"),
    ({"prompt": "?", "answer": "x", "pattern": "[", "scorer": "regex"}, "not a regular expression"),
    ({"prompt": "?", "answer": "?", "scorer": "choice"}, "not a letter from A to J"),
    ({"prompt": "?", "answer": "C", "choices": ["x", "y"], "scorer": "choice"}, "neither a letter"),
    ({"prompt": "?", "answer": "A", "choices": ["x", "x"], "scorer": "choice"}, "different texts"),
    ({"prompt": "?", "answer": "A", "choices": {}, "scorer": "choice"}, "must be a list"),
    ({"prompt": "?", "answer": {"type": 3}, "scorer": "json-schema"}, "is not a JSON schema"),
    ({"prompt": "?", "answer": "{", "scorer": "json-schema"}, "answer is not JSON"),
    (
        {"prompt": "?", "answer": {"$ref": "https://a.invalid/b"}, "scorer": "json-schema"},
        "refers to 'https://a.invalid/b', which is not in the schema and is never fetched",
    ),
    (
        {"prompt": "?", "answer": {"items": {"$ref": "#/$defs/x"}}, "scorer": "json-schema"},
        "refers to '#/$defs/x', which is not in the schema",
    ),
    ({"prompt": "?", "answer": "", "scorer": "math"}, "answer is missing"),
    ({"prompt": "?", "answer": "", "scorer": "exact"}, "answer is missing"),
    ({"prompt": "?", "answer": "1.5", "scorer": "integer"}, "'1.5' is not an integer"),
    ({"prompt": "?", "answer": "K", "scorer": "choice"}, "not a letter from A to J"),
    ({"prompt": "?", "answer": "A", "choices": ["x"], "scorer": "choice"}, "2 to 10 different"),
    ({"prompt": "?", "answer": "", "choices": ["x", "y"], "scorer": "choice"}, "is missing"),
    ({"messages": [], "answer": "1"}, "the last of messages must be the user's"),
    ({"messages": [{"role": "bot", "content": ""}], "answer": "1"}, "with the roles system"),
    ({"messages": [{"role": "assistant", "content": ""}], "answer": "1"}, "must be the user's"),
]


def test_a_schema_may_refer_to_itself(tmp_path: Path) -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/n"}}}
    row = {"prompt": "?", "answer": schema, "scorer": "json-schema"}
    (problem,) = problems(write(tmp_path / "p.jsonl", [row]))
    assert judge("json-schema", problem, '{"n": 1}', truncated=False).value == 1.0
    assert judge("json-schema", problem, '{"n": "1"}', truncated=False).value == 0.0


@pytest.mark.parametrize(("row", "message"), BAD)
def test_a_bad_row_is_named_in_one_line(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [GOOD, row, GOOD])
    with pytest.raises(ProbeError) as caught:
        problems(path)
    assert str(caught.value).startswith("mine.jsonl row 2: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_further_bad_rows_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [GOOD, {"prompt": "?"}, {}, {}])
    with pytest.raises(ProbeError, match=r"row 2: answer is missing \(and 2 more rows\)"):
        problems(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"prompt": "?", "answer": "1"}\n\n{"prompt"', "a.jsonl row 3 is not JSON"),
        ("a.jsonl", "[1]", "a.jsonl row 1 must be a JSON object"),
        ("a.jsonl", "[" * 100_000, "a.jsonl row 1 is not JSON"),
        ("a.jsonl", "\n", "has no rows"),
        ("a.csv", "prompt,answer\n?,1,2\n", "a.csv row 1 has more columns than the header"),
        ("a.csv", 'prompt,answer\n?,1\n"open', "a.csv row 2 is not CSV"),
        ("a.csv", "prompt,answer\n", "has no rows"),
        ("a.txt", "?", "use a file that ends with .jsonl"),
    ],
    ids=range(8),
)
def test_a_malformed_file_is_one_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ProbeError) as caught:
        problems(str(path))
    assert message in str(caught.value)


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}')
    with pytest.raises(ProbeError, match="it is not UTF-8 text"):
        problems(str(tmp_path / "latin.jsonl"))
    with pytest.raises(ProbeError, match="no such file or directory"):
        problems(str(tmp_path / "none.jsonl"))


def test_two_rows_with_one_id_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [{**GOOD, "id": "a"}, {**GOOD, "id": "a"}])
    with pytest.raises(ProbeError, match=r"row 2: id a is also that of mine\.jsonl row 1"):
        problems(path)


def test_half_a_character_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"prompt": "a", "answer": "1"}\n{"prompt": "\\ud83d", "answer": "1"}\n')
    with pytest.raises(ProbeError, match=r"problems\.jsonl row 2 holds half a character"):
        read_file(path)


def test_columns_by_other_names_are_proposed_and_taken(tmp_path: Path) -> None:
    rows = [{"question": f"{n}+{n}?", "target": 2 * n, "answer_type": "int"} for n in range(1, 9)]
    for name in (write(tmp_path / "q.jsonl", rows), write_csv(tmp_path / "q.csv", rows)):
        plan = FileProbe(kind="file", path=name, scorer="integer", held_out=0.0)
        with pytest.raises(ProbeError) as caught:
            freeze(plan)
        hint = 'columns = { prompt = "question", answer = "target" }'
        assert "has no column prompt or messages: it has question, target" in str(caught.value)
        assert str(caught.value).endswith(hint)
        proposal = kind_of("file").proposal(plan)
        assert proposal is not None
        assert "question → prompt?   1+1?" in proposal.question
        mapped = proposal.plan
        assert kind_of("file").faults(mapped) == ()
        assert kind_of("file").proposal(mapped) is None
        first = freeze(mapped).problems[0]
        assert (first.messages[0]["content"], first.answer) == ("1+1?", "2")


def test_a_column_that_is_mapped_is_named_as_in_the_file(tmp_path: Path) -> None:
    columns = {"prompt": "q", "answer": "a"}
    path = write(tmp_path / "q.jsonl", [{"q": "?", "a": 1}, {"q": "?"}, {"q": ["?"], "a": 1}])
    faults = kind_of("file").faults(FileProbe(kind="file", path=path, columns=columns))
    assert faults == (
        "q.jsonl row 2: answer (column a) is missing",
        "q.jsonl row 3: prompt (column q) must be text or a number",
    )
    with pytest.raises(ProbeError, match=r"q\.jsonl has no column b for answer: it has q, a"):
        problems(path, columns={**columns, "answer": "b"})


def test_a_mapped_column_hides_the_one_of_that_name(tmp_path: Path) -> None:
    rows = [{"prompt": "wrong", "question": f"{n}?", "answer": n} for n in range(1, 4)]
    first, *_ = problems(write(tmp_path / "q.jsonl", rows), columns={"prompt": "question"})
    assert first.messages[0]["content"] == "1?"


def test_the_names_of_columns_are_checked() -> None:
    for columns, told in (
        ({"question": "prompt"}, "no column question: use prompt, messages, answer"),
        ({"prompt": ""}, "name the column of the file"),
        ({"prompt": "a\x1bb"}, "control characters"),
    ):
        with pytest.raises(ValidationError, match=told):
            FileProbe(kind="file", path="x.csv", columns=columns)


def test_a_probe_without_mapped_columns_has_the_key_it_always_had() -> None:
    plain = FileProbe(kind="file", path="x.csv")
    assert "columns" not in plain.canonical_json()
    assert plain.model_copy(update={"columns": {"prompt": "q"}}).key != plain.key


def test_a_number_that_is_0_names_a_row_in_every_format(tmp_path: Path) -> None:
    rows = [{"prompt": "?", "answer": 1, "id": n, "stratum": n} for n in range(3)]
    for name in (write(tmp_path / "p.jsonl", rows), write_csv(tmp_path / "p.csv", rows)):
        assert [(p.id, p.stratum) for p in problems(name)] == [("0", "0"), ("1", "1"), ("2", "2")]


@pytest.mark.parametrize("column", ["id", "stratum", "scorer"])
def test_nested_json_is_no_name(column: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [GOOD, {**GOOD, column: {"a": 1}}])
    with pytest.raises(ProbeError, match=f"mine.jsonl row 2: {column} must be text or a number"):
        problems(path)


def test_a_local_file_of_a_benchmark_is_looked_at_too(tmp_path: Path) -> None:
    path = write(tmp_path / "aime.jsonl", [{"problem": "?", "answer": 1}, {"problem": "?"}])
    plan = kind_of("aime25").new(path=path)
    assert kind_of("aime25").faults(plan) == ("aime.jsonl row 2: answer is missing",)
    gone = kind_of("aime25").new(path=str(tmp_path / "gone.csv"))
    assert "no such file" in kind_of("aime25").faults(gone)[0]
    assert kind_of("aime25").faults(kind_of("aime25").new()) == ()


def test_a_task_file_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = kind_of("lm-eval").new(task=None, path=str(tmp_path / "task.yaml"))
    assert "no such file" in kind_of("lm-eval").faults(gone)[0]
    assert kind_of("lm-eval").faults(kind_of("lm-eval").new()) == ()
