"""A study of the paper's full size: times to open, refresh and ask a new budget.

``python -m benchmarks.scale [--rollouts 250000] [--keep DIRECTORY]``; writes the study through
the store, with compressed texts, then measures the reader and the app on a pseudo-terminal.
"""

import argparse
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice, product
from pathlib import Path

import numpy as np

from mi_tui.plan.budget import parse_budget
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import interpolation
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.probes.problem import Probe, Problem
from mi_tui.study.control import create_study
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from tests.terminal import MI_TUI, Terminal

LAMBDAS = tuple(number / 10 for number in range(11))
PROBES = {"aime25": (30, 38_912, 15_000.0), "ifeval": (541, 16_384, 2_500.0),
          "gpqa-diamond": (198, 16_384, 5_000.0)}  # fmt: skip
"""Each probe's problems, token cap and mean tokens of Thinking, as in arXiv 2510.10977."""

BUDGETS = ("tokens<=3000", "tokens<=1500", "p95 tokens<=6000", "score>=0.6", "score>=95%", "knee")
_WORDS = ("so", "the", "sum", "of", "wait", "let", "me", "check", "x", "is", "4", "\\frac{1}{2}")
_BATCH = 2000


def make_study(path: Path, rollouts: int, text_bytes: int) -> None:
    """Write a finished study of about so many rollouts through the store."""
    create_study(_preset(), path)
    with Store(StudyFolder(path).database) as store:
        store.add_probes([_probe(name) for name in PROBES])
        recipes = [store.recipe_index(interpolation(at)) for at in LAMBDAS]
        problems = store.problem_rows()
        samples = max(1, round(rollouts / len(problems) / len(recipes)))
        loader = ObservationLoader(store)
        source = _rollouts(recipes, len(problems), samples, text_bytes)
        while batch := list(islice(source, _BATCH)):
            store.plan_round((r.ask.recipe, r.ask.problem, r.ask.sample) for r in batch)
            store.add_rollouts(batch)
            loader.load()
            loader.pack()  # as the worker does at its reports
        done = len(recipes) * len(problems) * samples
        store.put(state=StudyState.DONE, message="", progress={"planned": done, "rollouts": done})
    with StudyReader(path) as reader:
        answer = reader.recommend()
    with Store(StudyFolder(path).database) as store:
        store.put(recommendation=answer.model_dump(mode="json", by_alias=True))


def _preset() -> Preset:
    return Preset(
        title="Full size",
        pair=Pair(instruct="bundled:instruct", thinking="bundled:thinking"),
        probes=(ArithmeticProbe(kind="arithmetic"),),
        budget=parse_budget("tokens<=3000"),
    )


def _probe(name: str) -> Probe:
    count, cap, _ = PROBES[name]
    problems = tuple(
        Problem(
            id=f"{name}-{number}",
            messages=({"role": "user", "content": f"Problem {number} of {name}?"},),
            answer=str(number),
            split="search",
        )
        for number in range(count)
    )
    return Probe(name=name, scorer="integer", problems=problems, max_new_tokens=cap)


def _rollouts(
    recipes: list[int], problems: int, samples: int, text_bytes: int
) -> Iterator[Rollout]:
    """Responses as the paper's stages have them: thinking sets in at λ = 0.5."""
    random = np.random.default_rng(1)
    difficulty = random.normal(size=problems)
    of = [values for values in PROBES.values() for _ in range(values[0])]
    for sample, problem, recipe in product(range(samples), range(problems), recipes):
        at = LAMBDAS[recipe]
        _, cap, longest = of[problem]
        rise = 1 / (1 + np.exp(-(at - 0.5) / 0.06))
        wanted = int(longest * (0.15 + 0.35 * at + 0.5 * at**2) * random.lognormal(0, 0.6))
        tokens = min(max(wanted, 20), cap)
        right = random.random() < 1 / (1 + np.exp(-(2.2 * rise - 0.6 + difficulty[problem])))
        thinking = random.random() < rise
        words = random.choice(_WORDS, size=max(4, int(text_bytes / 4 * random.lognormal(0, 0.5))))
        answer = str(problem if right else random.integers(1000))
        body = " ".join(words)
        yield Rollout(
            ask=PlannedAsk(recipe, problem, sample, 1),
            seed=sample,
            text=f"<think>\n{body}\n</think>\n\\boxed{{{answer}}}" if thinking else body,
            score=float(right and tokens < cap),
            tokens=tokens,
            think_tokens=tokens // 2 if thinking else 0,
            thinking=bool(thinking),
            truncated=tokens == cap,
            answer=answer,
            failure=None,
            seconds=tokens / 40,
        )


def add_some(path: Path, sample: int, count: int = 50) -> None:
    """Store ``count`` rollouts more, as a worker would."""
    source = islice(_rollouts([0, 1, 2], 769, 1, 2000), count)
    with Store(StudyFolder(path).database) as store:
        store.add_rollouts([replace(r, ask=replace(r.ask, sample=sample)) for r in source])


def timed(call: Callable[[], object]) -> float:
    """Wall time of a call, in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_reader(path: Path, rounds: int) -> None:
    """Open, refresh after new rollouts, and ask budgets, below any screen."""
    begin = time.perf_counter()
    reader = StudyReader(path)
    view = reader.view()
    print(f"reader: open and first picture  {time.perf_counter() - begin:.3f} s, "
          f"{view.progress.rollouts:,} rollouts")  # fmt: skip
    times = []
    for number in range(rounds):
        add_some(path, int(time.time() * 1000) % 10**9 + number)
        times.append(timed(reader.view))
    _say("reader: refresh, 50 new rollouts", times)
    times = [timed(partial(reader.recommend, parse_budget(b))) for b in BUDGETS]
    _say("reader: a new budget", times)
    _say("reader: newest responses", [timed(lambda: reader.responses(limit=50)) for _ in range(5)])
    key = view.rows[3].recipe.key
    _say("reader: responses of a recipe",
         [timed(lambda: reader.responses(key, limit=50)) for _ in range(5)])  # fmt: skip
    _say("reader: responses to a problem",
         [timed(lambda: reader.responses(problem=5, limit=500)) for _ in range(5)])  # fmt: skip
    reader.close()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def measure_app(path: Path, rounds: int) -> None:
    """The app on an 110×34 terminal, from the key or the rollouts to what is on the screen."""
    opened, asked = [], []
    for number in range(rounds):
        begin = time.perf_counter()
        with Terminal((*MI_TUI, "watch", str(path)), columns=110, lines=34) as terminal:
            terminal.wait_for(r"MI-0\.5 ", 60)
            opened.append(time.perf_counter() - begin)
            terminal.press("enter")
            terminal.wait_for("λ interval", 60)
            before = _limit(terminal)
            begin = time.perf_counter()
            terminal.press("right" if number % 2 else "left")
            while _limit(terminal) == before:
                terminal.read(0.005)
                assert time.perf_counter() < begin + 60, "the answer did not move"
            asked.append(time.perf_counter() - begin)
    _say("app: from the command to the table", opened)
    _say("app: from the key to another answer", asked)


def _limit(terminal: Terminal) -> str:
    """The limit of the answer on the screen."""
    found = re.search(r"of (tokens<=\S+);", terminal.text)
    return found[1] if found else ""


def _say(what: str, times: list[float]) -> None:
    print(f"{what:<36} median {statistics.median(times) * 1000:7.1f} ms, "
          f"worst {max(times) * 1000:7.1f} ms ({len(times)})")  # fmt: skip


def main() -> None:
    """Make the study unless it is there, and measure."""
    parser = argparse.ArgumentParser(description="Measure a study of the paper's full size.")
    parser.add_argument("--rollouts", type=int, default=250_000)
    parser.add_argument("--text-bytes", type=int, default=2000, help="of a response, on average")
    parser.add_argument("--keep", type=Path, help="make the study here, or take the one that is")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "study"
        if not (path / "study.db").exists():
            took = timed(lambda: make_study(path, options.rollouts, options.text_bytes))
            size = (path / "study.db").stat().st_size / 1e6
            print(f"written in {took:.0f} s, {size:.0f} MB")
        measure_reader(path, options.rounds)
        measure_app(path, max(1, options.rounds // 3))


if __name__ == "__main__":
    main()
