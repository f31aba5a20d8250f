"""Kills of every kind of process, at every phase: the study must end as an undisturbed one does.

``python -m benchmarks.endurance.kills [--kills 200] [--seed 0]``. Each study of the bundled pair
is run by ``mi-tui run``; a process of it is killed, it is run again, and so on; then its rollouts,
plans and answer are compared with those of the same study left alone, row by row and to the last
digit. Ends with 1 where anything differs. The engine is real, but for the share of studies that
``--scripted`` names, in which a scripted one lets everything around it be killed more often.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.endurance import processes
from mi_tui.plan.preset import Preset
from mi_tui.plan.toml import write_preset
from mi_tui.study.reader import StudyReader
from tests.study.presets import small_preset
from tests.terminal import MI_TUI, Terminal

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
"""SIGKILL twice: it is the one that nothing can prepare for."""

PHASES = (
    "none yet", "new", "starting", "preparing the probes", "loading the scorers",
    "loading the models", "checking the engine against a merged model", "coarse grid",
    "ends and coarse grid", "refining", "confirming", "done",
)  # fmt: skip
"""Beginnings of the phases at which a process is killed, in the order of a study."""

HERE = Path(__file__).parent
KILLS_A_STUDY = 6
PATIENCE_SECONDS = 300.0
_UNDECIDED = (0, 3)


@dataclass(frozen=True)
class Kind:
    """A kind of process: its name, and how one is found while a study runs."""

    name: str
    find: Callable[[Path, "Run"], int | None]
    preset: str = "one engine"


SCRIPTED = "scripted engine"


@dataclass
class Run:
    """A study being run by the command, perhaps watched by the app."""

    command: subprocess.Popen[bytes]
    app: Terminal | None = None


KINDS = (
    Kind("worker", lambda study, _: processes.worker_of(study)),
    Kind("supervisor", lambda study, _: processes.supervisor_of(study)),
    Kind("scorer", lambda study, _: processes.scorer_of(study)),
    Kind("command", lambda _, run: run.command.pid),
    Kind("app", lambda _, run: run.app.process.pid if run.app else None),
    Kind("replica", lambda study, _: processes.replica_of(study), "two replicas"),
    Kind("worker", lambda study, _: processes.worker_of(study), "two replicas"),
)


def presets() -> dict[str, Preset]:
    """The studies that are disturbed: with refinement, and with two engine processes."""
    one = small_preset(problems=16, samples=2, refine=True, max_rollouts=300)
    engine = one.engine.model_copy(update={"processes": 2, "device": "cpu"})
    longer = small_preset(problems=60, samples=6, refine=True, max_rollouts=2000)
    return {
        "one engine": one,
        "two replicas": one.model_copy(update={"engine": engine}),
        SCRIPTED: longer,
    }


@dataclass
class Report:
    """What was killed, where it was, and what came of it."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    faults: list[str] = field(default_factory=list)

    def in_words(self, seconds: float) -> str:
        """Tables of what was killed, and the faults."""
        lines = [f"{sum(self.kills.values())} kills in {self.studies} studies, {seconds:.0f} s"]
        lines += [f"  {kind}, {how}: {n}" for (kind, how), n in sorted(self.kills.items())]
        lines += [f"  while {phase}: {n}" for phase, n in sorted(self.phases.items())]
        return "\n".join([*lines, *(self.faults or ["nothing lost, doubled or changed"])])


@contextlib.contextmanager
def running(folder: Path, study: Path, watched: bool) -> Iterator[Run]:
    """Run the study of ``preset.toml`` in a folder with the command."""
    words = [*MI_TUI, "run", str(folder / "preset.toml"), "--study", str(study), "--plain"]
    environment = dict(os.environ)
    if folder.name == SCRIPTED:
        path = [str(HERE / "scripted"), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        environment["MI_TUI_SCRIPTED_ENGINE"] = str(HERE.parents[1])
    with (folder / "command.log").open("ab") as log:
        command = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            start_new_session=True,
        )  # fmt: skip
    run = Run(command)
    try:
        if watched:
            until(lambda: (study / "study.db").is_file(), command)
            run.app = Terminal((*MI_TUI, "watch", str(study)))
        yield run
    finally:
        if run.app:
            run.app.process.close(force=True)
        if command.poll() is None:
            command.kill()
        command.wait()


def until(holds: Callable[[], bool], command: subprocess.Popen[bytes]) -> None:
    """Wait until something holds, or the command has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds() and command.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError("the study does not come on")
        time.sleep(0.03)


def kill_once(folder: Path, study: Path, kind: Kind, chosen: random.Random, report: Report) -> None:
    """Run a study, kill one of its processes at some moment, and wait for what that ends."""
    phase = chosen.choice(PHASES)
    later = PHASES[PHASES.index(phase) :]
    with running(folder, study, watched=kind.name == "app") as run:
        until(lambda: processes.phase_of(study).startswith(later), run.command)
        time.sleep(chosen.random() * chosen.choice((0.02, 0.2, 1.0)))
        until(lambda: kind.find(study, run) is not None, run.command)
        victim = kind.find(study, run)
        how = chosen.choice(SIGNALS)
        found = processes.phase_of(study)
        if victim is None or not processes.end(victim, how):
            return  # it had ended by itself
        report.kills[kind.name, how.name] += 1
        report.phases[next((p for p in PHASES if found.startswith(p)), found)] += 1
        if kind.name in ("worker", "replica"):
            processes.wait_until_gone(victim)
            run.command.wait(PATIENCE_SECONDS)
        elif kind.name == "app" and run.app:
            run.app.process.close(force=True)
        elif kind.name == "command":
            run.command.wait(PATIENCE_SECONDS)
            if chosen.random() < 0.5 and (worker := processes.worker_of(study)):
                processes.end(worker, signal.SIGKILL)
                processes.wait_until_gone(worker)
        else:
            time.sleep(chosen.random())


def finish(folder: Path, study: Path) -> int:
    """Run a study to its end; returns what the command ended with."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with running(folder, study, watched=False) as run:
            status = run.command.wait(PATIENCE_SECONDS)
        if processes.phase_of(study) == "done" and status in _UNDECIDED:
            return status
        if time.monotonic() > deadline:
            raise TimeoutError(f"the study does not end: {processes.phase_of(study)}, {status}")


def leave_alone(folder: Path) -> None:
    """Run the study that the disturbed ones of a folder are compared with, once."""
    if not folder.exists():
        folder.mkdir()
        write_preset(presets()[folder.name], folder / "preset.toml")
        finish(folder, folder / "left-alone")


def answer(study: Path) -> dict[str, Any]:
    """The recommendation of a study, every digit of it, and its table."""
    with StudyReader(study) as reader:
        view, found = reader.view(), reader.recommend()
    rows = sorted(row.model_dump_json() for row in view.rows)
    # How long more rollouts would take depends on how fast these were.
    return {"answer": found.model_dump(exclude={"more_seconds"}), "rows": rows}


def differences(left_alone: Path, disturbed: Path) -> list[str]:
    """What is not the same in two studies."""
    looked_at: dict[str, Callable[[Path], Any]] = {
        "rollouts": processes.stored, "plan": processes.planned, "answer": answer,
    }  # fmt: skip
    found = [name for name, of in looked_at.items() if of(left_alone) != of(disturbed)]
    return found if processes.is_whole(disturbed) else [*found, "file"]


def outcome(folder: Path, study: Path) -> str:
    """Run a disturbed study to its end; what is wrong with it then, if anything."""
    try:
        finish(folder, study)
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        return str(error)
    found = differences(folder / "left-alone", study)
    return f"other {', '.join(found)}" if found else ""


def main() -> int:
    """Kill, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    names = sorted({kind.name for kind in KINDS})
    parser.add_argument("--kinds", nargs="*", choices=names, help="of processes (default: all)")
    parser.add_argument("--scripted", type=float, default=0.5, help="share of studies, 0 to 1")
    parser.add_argument("--keep", type=Path, help="where studies that differ are kept")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # below nohup, too: it is inherited
    chosen, report, begun = random.Random(options.seed), Report(), time.monotonic()
    kinds = [kind for kind in KINDS if not options.kinds or kind.name in options.kinds]
    try:
        with tempfile.TemporaryDirectory(prefix="mi-tui-kills-") as name:
            while sum(report.kills.values()) < options.kills:
                kind = kinds[report.studies % len(kinds)]
                scripted = kind.name != "replica" and chosen.random() < options.scripted
                folder = Path(name) / (SCRIPTED if scripted else kind.preset)
                kills = min(KILLS_A_STUDY, options.kills - sum(report.kills.values()))
                disturb_one(folder, kind, kills, chosen, report, options.keep)
                count, seconds = sum(report.kills.values()), time.monotonic() - begun
                sys.stdout.write(f"{kind.name}, {folder.name}; {count} kills, {seconds:.0f} s\n")
                sys.stdout.flush()
    finally:
        sys.stdout.write(report.in_words(time.monotonic() - begun) + "\n")
    return 1 if report.faults else 0


def disturb_one(
    folder: Path, kind: Kind, kills: int, chosen: random.Random, report: Report, keep: Path | None
) -> None:
    """Kill processes of a new study until it is done, and compare it with one left alone."""
    leave_alone(folder)
    study = folder / f"study-{report.studies}"
    with contextlib.suppress(subprocess.TimeoutExpired, TimeoutError):
        for _ in range(kills):
            kill_once(folder, study, kind, chosen, report)
    found = outcome(folder, study)
    report.studies += 1
    if found:
        report.faults.append(f"{study.name} ({kind.name}): {found}")
        if keep:
            shutil.copytree(study, keep / study.name)
            shutil.copy(folder / "command.log", keep / f"{study.name}.log")


if __name__ == "__main__":
    sys.exit(main())
