"""An exported checkpoint on a server is judged by the study's own problems and scorers."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mi_tui.analysis.results import Estimate
from mi_tui.cli.confirm_command import confirmation_lines
from mi_tui.cli.main import app, run
from mi_tui.engines.open import open_engine
from mi_tui.engines.openai import client
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe
from mi_tui.probes.problem import Score
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.study.confirmation import server_confirmation
from mi_tui.study.confirmation.questions import ConfirmationPlan, ServerQuestions, questions
from mi_tui.study.confirmation.server_confirmation import inside, stored_confirmations
from mi_tui.study.control import create_study
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.engines.openai_server import Served, serve
from tests.engines.scripted_server import SILENCE, Reply, piece, scripted, streamed, whole
from tests.study.presets import small_preset


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = create_study(small_preset(problems=16, samples=3), tmp_path_factory.mktemp("study"))
    assert work(StudyFolder(path)) is StudyState.DONE
    return path


@pytest.fixture(scope="module")
def served(study: Path) -> Iterator[Served]:
    preset = small_preset()
    engine = open_engine(preset.engine, preset.pair)
    with StudyReader(study) as reader, serve(Served(engine, reader.recommend().recipe)) as running:
        yield running
    engine.close()


def confirm(study: Path, *options: str) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(app, ["confirm", str(study), *options, "--json"])
    assert done.exit_code in (0, 3), done.output
    return done.exit_code, json.loads(done.stdout)


def test_the_recommended_model_keeps_its_promise(study: Path, served: Served) -> None:
    served.asked.clear()
    status, found = confirm(study, "--endpoint", served.url, "--concurrency", "3")
    assert (status, found["holds"]) == (0, True)
    assert found["problems"] == 4
    assert found["held_out"] is True
    assert len(served.asked) == 16
    assert 1 <= served.most_at_once <= 3
    with Store(study / "study.db") as store:
        held_out = {
            p.messages[0]["content"]
            for probe in store.probes()
            for p in probe.problems
            if p.split == "held-out"
        }
    assert {body["messages"][0]["content"] for body in served.asked} == held_out
    assert len({body["seed"] for body in served.asked}) == 16
    (kept,) = stored_confirmations(str(study))
    assert kept.model_dump(mode="json", by_alias=True) == {
        name: value for name, value in found.items() if name != "holds"
    }
    words = "\n".join(confirmation_lines(kept))
    assert "predicted" in words
    assert "first token" in words


def test_another_model_behind_the_address_is_noticed(study: Path, served: Served) -> None:
    right, served.recipe = served.recipe, Recipe(lambda_=0.0)
    try:
        status, found = confirm(study, "--endpoint", served.url, "--samples", "2")
    finally:
        served.recipe = right
    assert (status, found["holds"]) == (3, False)


def test_thinking_that_the_server_takes_out_still_counts(study: Path, served: Served) -> None:
    _, whole = confirm(study, "--endpoint", served.url, "--samples", "1")
    served.splits_thinking = True
    try:
        _, split = confirm(study, "--endpoint", served.url, "--samples", "1")
    finally:
        served.splits_thinking = False
    for name in ("score", "tokens", "think ratio"):
        assert measured(whole, name) == measured(split, name)


class Unsure(ScoringPool):
    """Gives no score for so many of the answers."""

    missing = 0

    def poll(self, seconds: float = 0.0) -> list[tuple[int, Score]]:
        lost = Score(None, failure="scorer crashed: KeyError: 'kwargs'")
        found = super().poll(seconds)
        return [(key, lost if key < self.missing else score) for key, score in found]


def test_what_could_not_be_scored_is_counted_and_above_one_in_twenty_says_nothing(
    study: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_confirmation, "ScoringPool", Unsure)
    options = ("--endpoint", served.url, "--samples", "8")
    monkeypatch.setattr(Unsure, "missing", 1)
    status, found = confirm(study, *options)
    assert (status, found["not_scored"]) == (0, 1)
    kept = stored_confirmations(str(study))[-1]
    said = "! 1 of 32 answers could not be scored and is left out of the score"
    assert said in confirmation_lines(kept)
    monkeypatch.setattr(Unsure, "missing", 2)
    before = stored_confirmations(str(study))
    refused = CliRunner().invoke(app, ["confirm", str(study), *options])
    assert isinstance(refused.exception, MiTuiError)
    assert str(refused.exception).startswith(
        "2 of 32 answers could not be scored (scorer crashed: KeyError: 'kwargs')"
    )
    assert stored_confirmations(str(study)) == before
    # The answers were kept: the same command scores them again, and asks for none.
    asked = len(served.asked)
    monkeypatch.setattr(Unsure, "missing", 0)
    status, found = confirm(study, *options)
    assert (status, found["not_scored"], len(served.asked)) == (0, 0, asked)


def measured(found: dict[str, object], name: str) -> object:
    comparisons = found["comparisons"]
    assert isinstance(comparisons, list)
    return next(one["measured"] for one in comparisons if one["measure"] == name)


def test_keys_stay_out_of_the_study(
    study: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MI_TUI_API_KEY", "very-secret")
    address = served.url.replace("http://", "http://me:word-of-mine@")
    confirm(study, "--endpoint", address, "--samples", "1")
    with sqlite3.connect(study / "study.db") as database:
        values = " ".join(value for (value,) in database.execute("SELECT value FROM meta"))
    assert "very-secret" not in values
    assert "word-of-mine" not in values


def test_a_key_that_is_not_there(study: Path) -> None:
    options = ["--endpoint", "http://127.0.0.1:1", "--key-from", "NOT_THERE"]
    missing = CliRunner().invoke(app, ["confirm", str(study), *options])
    assert isinstance(missing.exception, MiTuiError)
    assert "NOT_THERE" in str(missing.exception)


def stored(study: Path) -> tuple[tuple[object, ...], ...]:
    """Everything that the study holds, but for answers that await their confirmation."""
    with sqlite3.connect(study / "study.db") as database:
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "answers"
        ]
        return tuple(row for name in tables for row in database.execute(f"SELECT * FROM {name}"))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([whole(), Reply(503, b'{"error": "full"}')], "answered 503: full"),
        ([whole(), Reply(429, b"", {"Retry-After": "900"})], "asks to wait 900 s"),
        ([whole(), streamed(piece("half"))], "broke off"),
        ([whole(), streamed(piece("half"), promised=99)], "cannot be reached"),
        ([whole(), SILENCE], "was silent for 1 s"),
        ([whole(), streamed("{broken")], "no event of a chat completion"),
        ([whole(), streamed({"choices": 5})], "no event of a chat completion"),
        ([whole(), streamed(piece("one", "stop"), "[DONE]")], "completion_tokens"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_server_that_fails_is_one_line_and_changes_nothing(
    study: Path,
    answers: list[Reply],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(client, "_PAUSES", (0.0, 0.0))
    before = stored(study)
    with scripted(answers) as server:
        options = ["--endpoint", server.url, "--timeout", "1"]
        monkeypatch.setattr("sys.argv", ["mi-tui", "confirm", str(study), *options])
        with pytest.raises(SystemExit) as ended:
            run()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("mi-tui: ")
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert stored(study) == before


def test_stopping_while_the_server_answers(study: Path) -> None:
    before = stored(study)
    with scripted([whole(), streamed(piece("half"), silent=True)]) as server:
        command = [sys.executable, "-m", "mi_tui", "confirm", str(study)]
        process = subprocess.Popen(
            [*command, "--endpoint", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.in_silence.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert server.hung_up.wait(60)
    kept = "the answers so far are kept, and the same command resumes"
    assert (process.returncode, out, err) == (130, "", f"mi-tui: stopped: {kept}\n")
    assert stored(study) == before


def test_what_was_answered_before_a_failure_is_not_asked_again(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PAUSES", ())
    with scripted([*5 * [whole()], Reply(503, b'{"error": "full"}'), whole()]) as server:
        options = ["--endpoint", server.url, "--concurrency", "1"]
        failed = CliRunner().invoke(app, ["confirm", str(study), *options])
        assert "5 of 16 answers are kept" in str(failed.exception)
        assert len(server.asked) == 6
        confirm(study, *options[:2], "--samples", "1")
        assert len(server.asked) == 6 + 4  # At another concurrency times are others: asked anew.
        confirm(study, *options)
        assert len(server.asked) == 6 + 4 + 11
        seeds = [body["seed"] for body in server.asked]
        assert len(set(seeds)) == 16
        confirm(study, *options)
        assert len(server.asked) == 6 + 4 + 11 + 16  # A new confirmation asks for new answers.
    with sqlite3.connect(study / "study.db") as database:
        about = f"%{server.url}%"
        query = "SELECT COUNT(*) FROM answers WHERE asked LIKE ?"
        assert database.execute(query, (about,)).fetchone() == (0,)


def test_inside_takes_both_errors_into_account() -> None:
    predicted = Estimate(value=0.5, low=0.4, high=0.6)
    assert inside(predicted, Estimate(value=0.62, low=0.5, high=0.7))
    assert not inside(predicted, Estimate(value=0.62, low=0.61, high=0.63))
    assert inside(predicted, Estimate(value=0.41, low=0.40, high=0.42))
    assert not inside(predicted, Estimate(value=0.2, low=0.1, high=0.3))


def test_answers_kept_by_another_version_are_taken_or_asked_again(
    study: Path, served: Served
) -> None:
    database = study / "study.db"
    with Store(database) as store:
        asked, _ = questions(store, 1)
        server = client.Endpoint(served.url)
        open_questions = ServerQuestions(store, server, ConfirmationPlan(), served.recipe, 0, {})
        _, first, _ = asyncio.run(open_questions.ask_all(asked))
        mine = f"asked LIKE '%{served.url}%'"
        with sqlite3.connect(database) as other:
            query = f"SELECT problem, body FROM answers WHERE {mine} ORDER BY problem"
            rows = other.execute(query).fetchall()
            kept = [json.loads(zlib.decompress(body)) for _, body in rows]
            kept[0]["price"] = 3  # of a later version
            del kept[1]["first_token"]  # of an earlier one
            for answer, (problem, _) in zip(kept, rows, strict=True):
                body = zlib.compress(json.dumps(answer).encode())
                change = f"UPDATE answers SET body = ? WHERE problem = ? AND {mine}"
                other.execute(change, (body, problem))
        served.asked.clear()
        model, again, _ = asyncio.run(open_questions.ask_all(asked))
        open_questions.forget(model)
    assert [answer.text for answer in again] == [answer.text for answer in first]
    assert len(served.asked) == 1
