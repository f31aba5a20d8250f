"""The commands on studies: the worker's notes, and a list that pipes can take."""

import json
from pathlib import Path

import pytest

from mi_tui.plan.toml import write_preset
from mi_tui.study.control import create_study
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.store import Store
from tests.cli.command import command
from tests.study.presets import small_preset
from tests.study.stored import stored_study


def test_what_a_worker_noted_can_be_read(tmp_path: Path) -> None:
    path = create_study(small_preset(), tmp_path / "study")
    with Store(path / "study.db") as store:
        store.log("self-check passed")
        store.log("out of \x1b[31mmemory", "error")
    (path / "worker.log").write_text("a warning of a library\n")
    done = command("log", str(path))
    first, second = done.stdout.splitlines()
    assert first.endswith("info    self-check passed")
    assert second.endswith("error   out of memory")
    assert str(path / "worker.log") in done.stderr
    found = json.loads(command("log", str(path), "--json").stdout)
    assert [line["level"] for line in found] == ["info", "error"]


def test_in_a_pipe_no_name_is_cut_and_no_failure_fills_the_page(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "a-long-name-" * 8
    path = create_study(small_preset(), studies / name)
    with Store(path / "study.db") as store:
        store.put(state="failed", message="word " * 100)
    lines = command("studies").stdout.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith(name)


def test_a_probe_that_is_too_hard_recommends_nothing_and_ends_with_3(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "hard", problems=60, score=0.0)
    done = command("recommend", str(path), "--budget", "tokens<=40")
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert "nothing is recommended: no λ solves more than" in said
    assert "(recommended)" not in said
    found = json.loads(command("recommend", str(path), "--json").stdout)["recommendation"]
    assert not found["recommended"]
    assert found["remarks"] == ["floor"]


def test_an_unsettled_study_says_what_ended_it(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study", problems=8, score=0.5)
    with Store(path / "study.db") as store:
        store.put(message="max_rollouts reached (144 of 144)")
    done = command("recommend", str(path), "--budget", "score>=0.5")
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert "stopped before it was settled: max_rollouts reached (144 of 144)" in said


def test_a_study_goes_on_only_to_an_end_that_makes_sense(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study", problems=8, score=0.5)
    with Store(path / "study.db") as store:
        store.put(settled=True, message="the expected loss is within the tolerance")
    for options, said in (
        (["--until", "later"], "write settled, +500 rollouts"),
        (["--until", "settled"], "is settled already"),
        (["--until", "3 rollouts"], "has taken 144 rollouts already: write +3 rollouts"),
        (["--until", "settled", "--study", str(path)], "leave --study out"),
        (["--until", "settled", "--name", "other"], "leave --name out"),
        (["--name", "other", "--study", str(path)], "give one of them"),
        (["--name", "no name"], "letters, digits, dots and hyphens"),
        (["--budget", "knee"], "--budget needs --until"),
    ):
        done = command("run", str(path), *options)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    with Store(path / "study.db") as store:
        assert store.open_requests() == []


def test_two_limits_are_asked_and_limits_that_exclude_each_other_end_with_3(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study", problems=60)
    asked = ("recommend", str(path), "--budget")
    found = json.loads(command(*asked, "tokens<=100000 and score>=1%", "--json").stdout)
    answer = found["recommendation"]
    assert answer["budget"]["also"] == ["score>=1%"]
    assert [limit["limit"] for limit in answer["limits"]] == ["tokens<=100000", "score>=1%"]
    done = command(*asked, "tokens<=1 and score>=99%")
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert "it meets both limits with a probability of 0 %" in said
    assert "alone, tokens<=1 is not surely kept either: λ =" in said
    assert "score>=99% gives λ =" in said


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("tokens<=40, score>=95", "did you mean tokens<=40 and score>=95%?"),
        ("tokens<=40 and score[arithmetc]>=0.5", "did you mean arithmetic? The study asks"),
        ("tokens<=40 and tokens<=50", "limit the same: keep the tighter one"),
    ],
)
def test_a_slip_in_a_budget_is_one_line_with_a_question(
    tmp_path: Path, budget: str, said: str
) -> None:
    path = stored_study(tmp_path / "study", problems=8)
    done = command("recommend", str(path), "--budget", budget)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_capped_thought_must_have_a_token(tmp_path: Path) -> None:
    done = command("run", "demo", "--study", str(tmp_path / "study"), "--thinking-cap", "0")
    assert done.returncode == 2
    assert "--thinking-cap" in done.stderr
    assert not (tmp_path / "study").exists()


def test_a_study_runs_under_the_name_that_it_was_given_and_goes_on_under_it(
    tmp_path: Path, studies: Path
) -> None:
    preset = tmp_path / "small.toml"
    write_preset(small_preset(problems=4, samples=1), preset)
    done = command("run", str(preset), "--name", "pair-v2", "--json")
    assert done.returncode in (0, 3), done.stderr
    assert [folder.name for folder in studies.iterdir()] == ["pair-v2"]
    with Store(studies / "pair-v2" / "study.db") as store:
        had, _ = store.totals()
    # The same command again finds the study done, and asks for nothing.
    again = command("run", str(preset), "--name", "pair-v2", "--json")
    assert again.returncode == done.returncode
    with Store(studies / "pair-v2" / "study.db") as store:
        assert store.totals()[0] == had
    assert [folder.name for folder in studies.iterdir()] == ["pair-v2"]
    # Another preset is not mixed into it.
    write_preset(small_preset(problems=5, samples=1), preset)
    other = command("run", str(preset), "--name", "pair-v2")
    assert other.returncode == 2
    assert "pair-v2" in other.stderr


def test_the_engine_is_said_chosen_and_stored(tmp_path: Path) -> None:
    """A whole small study: the sentence before it, the plan in its JSON, the choice in its log."""
    file = tmp_path / "small.toml"
    write_preset(small_preset(problems=4, samples=1), file)
    path = tmp_path / "study"
    done = command("run", str(file), "--study", str(path), "--json", "--plain")
    assert done.returncode in (0, 3), done.stderr
    assert "engine  transformers, chosen: responses of up to 160 tokens do not need vLLM" in (
        done.stderr
    )
    assert "at most, by a rough estimate" in done.stderr
    assert "memory  one pass on the CPU" in done.stderr
    engine = json.loads(done.stdout)["engine"]
    assert (engine["kind"], engine["chosen"]) == ("transformers", True)
    assert engine["memory"]["cap"] == 160
    assert engine["memory"]["longest_cap"] > 160
    with Store(path / "study.db") as store:
        facts = Facts.of(store)
    assert facts.engine is not None
    assert facts.engine.kind == "transformers"
    assert "transformers chosen: responses of up to 160 tokens" in facts.engine_note
    assert "transformers, chosen: responses of up to 160" in command("log", str(path)).stdout
    other = command("run", str(file), "--study", str(path), "--engine", "vllm")
    assert other.returncode == 2
    assert "runs with transformers, and vllm is asked for" in other.stderr
    both = command("run", str(path), "--until", "+10 rollouts", "--engine", "vllm")
    assert "leave --engine out" in both.stderr


def test_check_tells_the_plan_of_memory() -> None:
    sides = ("bundled:instruct", "bundled:thinking")
    found = json.loads(command("check", *sides, "--json", "--cap", "20000").stdout)
    assert found["engine"]["kind"] == "transformers"
    memory = found["engine"]["memory"]
    assert (memory["cap"], memory["cache_per_response"]) == (20_000, 2_048 * 20_512)
    assert memory["responses_at_once"] >= 1
    said = command("check", *sides, "--engine", "vllm").stdout
    assert "vLLM, as asked" in " ".join(said.split())
