"""The scoring pool: right scores, and no scorer that can stop a study."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring import client
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.probes.scoring.scorer import SCORERS

ROOT = Path(__file__).parents[3]
PROBLEM = Problem("1", ({"role": "user", "content": "40 + 2?"},), "42")
ENDLESS = Problem("2", (), "(a+)+$")
"""A regular expression that takes exponential time on :data:`ENDLESS_RESPONSE`."""
ENDLESS_RESPONSE = "a" * 60 + "b"


@pytest.fixture(scope="module")
def pool() -> Iterator[ScoringPool]:
    with ScoringPool(processes=1, time_limit=20.0) as scoring:
        yield scoring


def drain(pool: ScoringPool, seconds: float = 100.0) -> dict[int, Score]:
    scores: dict[int, Score] = {}
    deadline = time.monotonic() + seconds
    while pool.pending and time.monotonic() < deadline:
        scores.update(pool.poll(1.0))
    return scores


def test_every_response_gets_its_own_score(pool: ScoringPool) -> None:
    for key in range(200):
        pool.submit(key, "boxed-integer", PROBLEM, f"\\boxed{{{key}}}", False)
    scores = drain(pool)
    assert scores == {key: Score(float(key == 42), str(key)) for key in range(200)}


def test_truncated_and_unfinished_responses_are_incorrect(pool: ScoringPool) -> None:
    pool.submit(1, "boxed-integer", PROBLEM, "so \\boxed{42}", True)
    pool.submit(2, "boxed-integer", PROBLEM, "<think>so \\boxed{42}", False)
    pool.submit(3, "boxed-integer", PROBLEM, "\\boxed{41}</think>\\boxed{42}", False)
    assert drain(pool) == {1: Score(0.0), 2: Score(0.0), 3: Score(1.0, "42")}


def test_an_unknown_scorer_fails_its_rollout_only(pool: ScoringPool) -> None:
    pool.submit(1, "no-such-scorer", PROBLEM, "x", False)
    pool.submit(2, "boxed-integer", PROBLEM, "\\boxed{42}", False)
    scores = drain(pool)
    assert scores[1].failure is not None
    assert "unknown scorer" in scores[1].failure
    assert scores[2] == Score(1.0, "42")


def test_an_exception_in_a_scorer_is_its_reason(pool: ScoringPool) -> None:
    pool.submit(1, "regex", Problem("3", (), "(unclosed"), "x", False)
    failure = drain(pool)[1].failure
    assert failure is not None
    assert failure.startswith("scorer crashed: ")


HOSTILE = {
    "control characters": "\ud800\x00\x1b[2J\x9b" * 100_000 + "\\boxed{42}",
    "latex": "\\frac{\\sqrt{x_{1}^{2}}}{\\left( 3 \\right)} " * 2_500 + "$$\\boxed{42}$$",
    "dollars": "$" * 100_000 + "\\boxed{42}",
    "nested boxes": "\\boxed{" * 14_000 + "42" + "}" * 14_000,
    "open boxes": "\\boxed{" * 14_000 + "\\boxed{42}",
    "markup": "[bold red]" * 10_000 + "<b>&" * 1000 + "\\boxed{42}",
    "other scripts": "答えは四十二です。" * 5_000 + "الجواب \\boxed{42}",
    "thoughts": "<think></think>" * 7_000 + "\\boxed{42}",
}


@pytest.mark.parametrize("scorer", ["boxed-integer", "integer", "math"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_around_an_answer_does_not_hide_it(
    pool: ScoringPool, scorer: str, kind: str
) -> None:
    pool.submit(1, scorer, PROBLEM, HOSTILE[kind], False)
    assert drain(pool) == {1: Score(1.0, "42")}


STALLING = {
    "newlines": "\n" * 100_000,
    "spaces": " " * 100_000,
    "braces": "}" * 100_000,
    "brackets": "(" * 100_000,
    "wrapped letter": "ANSWER:" + "(" * 100_000,
    "answers": "ANSWER:" * 15_000,
    "answer lines": "answer " * 15_000,
    "thousands": "1" + ",111" * 25_000 + "x",
    "digits": "1" * 100_000 + "x",
    "fences": "```json\n" * 12_500,
    "bullets": "*" * 50_000 + "\n* " * 25_000,
    "box": "\\boxed{",
    "nothing": "",
}
EVERYTHING = Problem(
    "4",
    (),
    "42",
    meta={
        "pattern": r"=(\d+)=",
        "instructions": [
            {"kind": "bullets", "bullets": 3},
            {"kind": "paragraphs", "paragraphs": 2},
            {"kind": "at-least-words", "words": 10},
        ],
    },
)


NEED_MORE = {"ifeval", "lm-eval", "json-schema"}
"""Scorers that need more than the problem here has."""


@pytest.mark.parametrize("scorer", sorted({*SCORERS.names()} - NEED_MORE))
def test_hostile_text_without_an_answer_scores_nothing(pool: ScoringPool, scorer: str) -> None:
    texts = [text.replace("42", "∞") for text in HOSTILE.values()] + [*STALLING.values()]
    for key, text in enumerate(texts):
        pool.submit(key, scorer, EVERYTHING, text, False)
    scores = drain(pool)
    assert sorted(scores) == list(range(len(texts)))
    assert {(score.value, score.failure) for score in scores.values()} == {(0.0, None)}


def test_hostile_text_is_no_json(pool: ScoringPool) -> None:
    schema = Problem("5", (), '{"type": "object"}')
    texts = [*HOSTILE.values(), *STALLING.values(), "{" * 100_000, '{"a":' * 20_000]
    for key, text in enumerate(texts):
        pool.submit(key, "json-schema", schema, text, False)
    assert {(s.value, s.failure) for s in drain(pool).values()} == {(0.0, None)}


def test_a_scorer_that_hangs_is_killed_and_the_rest_is_scored() -> None:
    with ScoringPool(processes=1, time_limit=2.0) as pool:
        pool.submit(1, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        pool.submit(2, "regex", ENDLESS, ENDLESS_RESPONSE, False)
        pool.submit(3, "math", PROBLEM, "\\boxed{\\cos(1)^{3000}}", False)
        pool.submit(4, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        scores = drain(pool)
    assert scores[1] == scores[4] == Score(1.0, "42")
    assert scores[2] == Score(None, failure="scoring took more than 2 s of processor time")
    assert scores[3].value is None


def test_a_scorer_that_dies_costs_its_own_rollout_only() -> None:
    with ScoringPool(processes=1, time_limit=60.0) as pool:
        pool.submit(0, "boxed-integer", PROBLEM, "", False)
        assert drain(pool) == {0: Score(0.0)}
        idle = cpu_ticks(child := child_of(pool))
        pool.submit(1, "regex", ENDLESS, ENDLESS_RESPONSE, False)
        for key in (2, 3):
            pool.submit(key, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        wait_until(lambda: cpu_ticks(child) > idle + 20)
        os.kill(child, signal.SIGSEGV)
        # Its response is tried once more, in a process of its own.
        wait_until(lambda: child_of(pool, child) != child)
        os.kill(child_of(pool), signal.SIGSEGV)
        scores = drain(pool)
    assert scores[2] == scores[3] == Score(1.0, "42")
    assert scores[1] == Score(None, failure="scorer crashed: its process was ended by SIGSEGV")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_that_others_kill_as_they_start_cost_no_rollout(how: signal.Signals) -> None:
    killed: set[int] = set()
    with ScoringPool(processes=1) as pool:
        for key in range(3):
            pool.submit(key, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        while len(killed) < 4:  # more often than a start may fail by itself
            wait_until(lambda: bool(scoring_children() - killed))
            for child in scoring_children() - killed:
                killed.add(child)
                os.kill(child, how)
        scores = drain(pool)
    assert scores == dict.fromkeys(range(3), Score(1.0, "42"))


def scoring_children() -> set[int]:
    """The scoring processes of this one, from their first moment."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes()
            if parent == os.getpid() and b"mi_tui.probes.scoring.process" in words:
                found.add(int(entry.name))
    return found


def test_a_scorer_that_dies_once_costs_nothing() -> None:
    with ScoringPool(processes=1, time_limit=60.0) as pool:
        pool.submit(0, "boxed-integer", PROBLEM, "", False)
        drain(pool)
        child = child_of(pool)
        os.kill(child, signal.SIGSTOP)
        pool.submit(1, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        assert pool.poll(0.2) == []
        os.kill(child, signal.SIGKILL)
        assert drain(pool) == {1: Score(1.0, "42")}


def test_a_process_that_is_stopped_for_longer_than_the_limit_costs_nothing() -> None:
    with ScoringPool(processes=1, time_limit=0.5) as pool:
        pool.submit(0, "boxed-integer", PROBLEM, "", False)
        drain(pool)
        child = child_of(pool)
        os.kill(child, signal.SIGSTOP)
        pool.submit(1, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        assert pool.poll(1.0) == []
        os.kill(child, signal.SIGCONT)
        assert drain(pool) == {1: Score(1.0, "42")}
        assert child_of(pool) == child


def test_a_scorer_that_cannot_be_used_is_refused_before_anything_is_scored() -> None:
    with ScoringPool(processes=1) as pool:
        pool.require(["boxed-integer", "math"])
        with pytest.raises(ScorerError, match="unknown scorer"):
            pool.require(["boxed-integer", "no-such-scorer"])
        pool.submit(1, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        assert drain(pool) == {1: Score(1.0, "42")}


def test_a_process_that_dies_while_idle_costs_no_rollout() -> None:
    with ScoringPool(processes=1) as pool:
        for key in range(3):
            pool.submit(key, "boxed-integer", PROBLEM, "\\boxed{42}", False)
            assert drain(pool) == {key: Score(1.0, "42")}
            child = child_of(pool)
            os.kill(child, signal.SIGKILL)
            wait_until(lambda child=child: " Z " in Path(f"/proc/{child}/stat").read_text())  # type: ignore[misc]


def child_of(pool: ScoringPool, before: int | None = None) -> int:
    process = pool._workers[0]._process
    if process is None and before is not None:
        return before
    assert process is not None
    return process._process.pid


def cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_scorer_that_eats_memory_fails_and_the_rest_is_scored() -> None:
    with ScoringPool(processes=1, time_limit=60.0, memory_limit=200 << 20) as pool:
        pool.submit(1, "contains", PROBLEM, "40 41 " * 2_000_000, False)
        pool.submit(2, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        scores = drain(pool)
    assert scores[1] == Score(None, failure="scorer ran out of memory")
    assert scores[2] == Score(1.0, "42")


def test_a_pool_whose_processes_do_not_start_says_so_and_gives_no_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "_PROGRAM", "import no_such_module_at_all")
    with ScoringPool(processes=2) as pool:
        for key in range(20):
            pool.submit(key, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        for _ in range(2):
            with pytest.raises(ScorerError, match="No module named 'no_such_module_at_all'; mend"):
                drain(pool)
        assert pool.pending == 20


def test_a_pool_that_cannot_start_a_process_any_more_gives_the_scores_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScoringPool(processes=1) as pool:
        pool.require(["boxed-integer"])
        for key in range(3):
            pool.submit(key, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        scores = drain(pool)
        monkeypatch.setattr(subprocess, "Popen", refused)
        os.kill(child_of(pool), signal.SIGKILL)
        pool.submit(3, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        with pytest.raises(ScorerError, match="Resource temporarily unavailable; mend"):
            drain(pool)
    assert scores == dict.fromkeys(range(3), Score(1.0, "42"))


def refused(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_a_moment_in_which_no_process_starts_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, asked = subprocess.Popen, iter(range(100))

    def late(*args: Any, **options: Any) -> Any:
        return real(*args, **options) if next(asked) >= 2 else refused()

    monkeypatch.setattr(subprocess, "Popen", late)
    with ScoringPool(processes=1) as pool:
        pool.submit(1, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        assert drain(pool) == {1: Score(1.0, "42")}


def test_a_required_scorer_that_cannot_be_loaded_any_more_breaks_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    with ScoringPool(processes=1) as pool:
        pool.require(["boxed-integer", "math"])
        pool.submit(1, "math", PROBLEM, "\\boxed{x + 1}", False)
        assert drain(pool) == {1: Score(0.0, "x + 1")}
        # A library that is half removed by an upgrade.
        (tmp_path / "math_verify.py").write_text("raise ImportError('gone')")
        os.kill(child_of(pool), signal.SIGKILL)
        pool.submit(2, "math", PROBLEM, "\\boxed{x + 1}", False)
        with pytest.raises(ScorerError, match="cannot be scored: the math scorer needs"):
            drain(pool)


def test_closing_a_busy_pool_does_not_wait_for_it() -> None:
    pool = ScoringPool(processes=2, time_limit=600.0)
    for key in range(50):
        pool.submit(key, "regex", ENDLESS, ENDLESS_RESPONSE, False)
    assert pool.poll(0.5) == []
    pool.close()
    assert pool.pending == 0


def test_closing_an_idle_pool_of_many_ends_every_thread() -> None:
    before = threading.active_count()
    pool = ScoringPool(processes=8)
    assert threading.active_count() == before + 8
    pool.close()
    assert threading.active_count() == before


def test_a_reply_that_is_not_understood_costs_one_rollout(
    pool: ScoringPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(client.ScoringProcess, "receive", lambda _: {"value": 1.0})
        pool.submit(1, "boxed-integer", PROBLEM, "\\boxed{42}", False)
        failure = drain(pool)[1].failure
    assert failure is not None
    assert failure.startswith("scoring failed: KeyError")
    pool.submit(2, "boxed-integer", PROBLEM, "\\boxed{42}", False)
    assert drain(pool) == {2: Score(1.0, "42")}


def test_scoring_processes_import_no_torch() -> None:
    code = (
        "import sys\n"
        "from mi_tui.probes import preview\n"
        "from mi_tui.probes.scoring import pool, process\n"
        "from mi_tui.probes.scoring.scorer import scorer\n"
        "[scorer(name) for name in ('math', 'json-schema', 'regex')]\n"
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_scoring_process_ends_with_its_owner() -> None:
    code = (
        "import os\n"
        "from mi_tui.probes.scoring.pool import ScoringPool\n"
        "from mi_tui.probes.problem import Problem\n"
        "pool = ScoringPool(1)\n"
        "pool.submit(1, 'boxed-integer', Problem('1', (), '4'), '4', False)\n"
        "assert pool.poll(60)\n"
        "print(pool._workers[0]._process._process.pid, flush=True)\n"
        "os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    child = Path(f"/proc/{int(done.stdout)}/cmdline")
    deadline = time.monotonic() + 30
    while child.exists() and child.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or not child.read_text()
