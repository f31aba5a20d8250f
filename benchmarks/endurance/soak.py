"""A study disturbed for long: watchers, budgets, kills, pauses, a full disk, a moving clock.

``python -m benchmarks.endurance.soak [--minutes 30] [--scripted]``. For the first third the worker
is left alive, while five watchers read, budgets change and the study pauses, so that its memory
can be told; then everything happens to it. The disk is a tmpfs of its own, which takes root to
mount; without it there is no full disk, and the report says so. The clock is moved by a
``time.time`` that adds the seconds of a file, in the worker and in every watcher; the monotonic
clock stays as it is. Ends with 1 where anything was lost, doubled, or went back.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pexpect

from benchmarks.endurance import processes
from mi_tui.api.study import Study
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import parse_budget
from mi_tui.study.control import create_study, request, start_worker, state_of
from mi_tui.study.storage.facts import stored_state
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from tests.study.presets import small_preset
from tests.terminal import MI_TUI, Terminal

HERE = Path(__file__).parent
DISK_MIB = 256
WATCHERS = 3
APPS = 2
MIB = 1 << 20


@dataclass
class Soak:
    """A study, what is done to it, and what was seen."""

    study: Path
    disk: bool
    clock: Path
    chosen: random.Random
    done: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, int, int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    # -- what is done to it ----------------------------------------------------------------

    def ask_another_budget(self) -> None:
        """Change the study's budget."""
        budget = parse_budget(f"tokens<={self.chosen.randrange(20, 150)}")
        request(self.study, "budget", budget=budget.model_dump(mode="json"))

    def pause(self) -> None:
        """Pause it for some seconds."""
        request(self.study, "pause")
        time.sleep(self.chosen.uniform(0.5, 4.0))
        request(self.study, "resume")

    def kill_worker(self) -> None:
        """End its worker in one of three ways."""
        how = self.chosen.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        if worker := processes.worker_of(self.study):
            processes.end(worker, how)
            processes.wait_until_gone(worker)

    def kill_scorer(self) -> None:
        """Kill the process that scores."""
        if scorer := processes.scorer_of(self.study):
            processes.end(scorer, signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop, and wait for it."""
        request(self.study, "stop")
        if worker := processes.worker_of(self.study):
            processes.wait_until_gone(worker)

    def move_clock(self) -> None:
        """Set the time of day to another: a day or a year on, an hour back, the true one."""
        seconds = self.chosen.choice((0, 86_400, -3_600, 365 * 86_400, -365 * 86_400))
        self.clock.write_text(str(seconds), encoding="ascii")

    def fill_disk(self) -> None:
        """Take all room of the disk until the worker has noticed, and give it back."""
        filler = self.study.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(MIB if _room(filler) > MIB else 4096))
        deadline = time.monotonic() + 20.0
        while processes.worker_of(self.study) and time.monotonic() < deadline:
            time.sleep(0.2)
        filler.unlink()

    # -- what is seen ----------------------------------------------------------------------

    def keep_running(self) -> None:
        """Start the worker again where it has ended, and give it more to do."""
        if processes.worker_of(self.study):
            return
        try:
            with Store(self.study / "study.db", reading=True) as store:
                state = state_of(StudyFolder(self.study), stored_state(store))
            if state == "done":
                study = Study.load(self.study)
                study.extend("+20k rollouts")
                study.close()
                self.done["extended"] += 1
            else:
                self.done[f"started after {state}"] += 1
                start_worker(self.study)
        except MiTuiError as error:
            self.done[f"not started: {str(error).replace(str(self.study), 'STUDY')}"] += 1

    def look(self) -> None:
        """Note the worker's memory and how far it is."""
        worker = processes.worker_of(self.study)
        if worker is None:
            return
        with contextlib.suppress(OSError, sqlite3.Error):
            pages = int(Path(f"/proc/{worker}/statm").read_text(encoding="ascii").split()[1])
            connection = sqlite3.connect(f"file:{self.study / 'study.db'}?mode=ro", uri=True)
            with contextlib.closing(connection) as db:
                (stored,) = db.execute("SELECT COUNT(*) FROM rollouts").fetchone()
            resident = pages * os.sysconf("SC_PAGE_SIZE")
            self.memory.append((time.monotonic() - self.begun, worker, stored, resident))

    def check(self) -> None:
        """What must hold of the study at every end."""
        if not processes.is_whole(self.study):
            self.faults.append("SQLite finds the file damaged")
        with contextlib.closing(sqlite3.connect(self.study / "study.db")) as db:
            unplanned = """SELECT COUNT(*) FROM rollouts r LEFT JOIN asks a
                USING (recipe, problem, sample) WHERE a.recipe IS NULL OR a.round != r.round"""
            without_text = """SELECT COUNT(*) FROM rollouts r LEFT JOIN texts t
                ON t.rollout = r.id WHERE t.rollout IS NULL"""
            unscored = "SELECT COUNT(*) FROM rollouts WHERE score IS NULL"
            for what, query in (
                ("never planned", unplanned), ("without text", without_text),
                ("not scored", unscored),
            ):  # fmt: skip
                (count,) = db.execute(query).fetchone()
                if count:
                    self.faults.append(f"{count} rollouts {what}")

    def in_words(self) -> str:
        """Figures of the whole."""
        seconds, _, stored, _ = self.memory[-1]
        lines = [f"{stored} rollouts in {seconds / 60:.1f} minutes"]
        lines += [f"  {what}: {count}" for what, count in sorted(self.done.items())]
        lines += [] if self.disk else ["  no full disk: mounting one takes root"]
        lives: dict[int, list[tuple[float, int, int, int]]] = {}
        for seen in self.memory:
            lives.setdefault(seen[1], []).append(seen)
        life = max(lives.values(), key=lambda each: each[-1][2] - each[0][2])
        lines.append(f"  most memory of a worker: {max(o[3] for o in self.memory) / MIB:.0f} MiB")
        if settled := [one for one in life if one[0] - life[0][0] > 60.0]:
            (_, _, first, low), (_, _, last, high) = settled[0], settled[-1]
            lines.append(
                f"  the longest-lived worker had {low / MIB:.0f} MiB a minute after its start and "
                f"{high / MIB:.0f} MiB at its end, {last - first} rollouts later"
            )
        return "\n".join([*lines, *(self.faults or ["nothing lost, doubled or gone back"])])


def _room(path: Path) -> int:
    facts = os.statvfs(path.parent)
    return facts.f_bavail * facts.f_frsize


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[bool]:
    """A small disk mounted at a folder; whether there is one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(command, check=False).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def watched(soak: Soak) -> Iterator[None]:
    """Five watchers of a study: three that ask it, two apps on terminals."""
    asking = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.endurance.watcher", str(soak.study), str(seed)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for seed in range(WATCHERS)
    ]  # fmt: skip
    apps = [Terminal((*MI_TUI, "watch", str(soak.study))) for _ in range(APPS)]
    try:
        yield
        for app in apps:
            app.read()
            if not app.process.isalive():
                soak.faults.append(f"an app ended: {app.text[-300:]}")
    finally:
        for app in apps:
            with contextlib.suppress(pexpect.ExceptionPexpect):  # a busy machine ends it later
                app.process.close(force=True)
        for watcher in asking:
            watcher.terminate()
            said, _ = watcher.communicate(timeout=60)
            if watcher.returncode:
                soak.faults.append(f"a watcher ended with {watcher.returncode}: {said[-300:]}")
                continue
            found = json.loads(said.splitlines()[-1])
            soak.done["readings by watchers"] += found["readings"]
            for error, count in found["errors"].items():
                soak.done[f"told to watchers: {error}"] += count


def disturb(soak: Soak, minutes: float) -> None:
    """Do things to the study until the time is over."""
    gentle: dict[str, Callable[[], None]] = {
        "budgets": soak.ask_another_budget, "pauses": soak.pause,
    }  # fmt: skip
    rough = gentle | {
        "workers killed": soak.kill_worker,
        "scorers killed": soak.kill_scorer,
        "stops": soak.stop,
        "clock moved": soak.move_clock,
    }
    if soak.disk:
        rough["disk filled"] = soak.fill_disk
    seconds = minutes * 60
    while (passed := time.monotonic() - soak.begun) < seconds:
        soak.keep_running()
        soak.look()
        actions = gentle if passed < seconds / 3 else rough
        name = soak.chosen.choice(sorted(actions))
        try:
            actions[name]()
            soak.done[name] += 1
        except MiTuiError as error:  # the disk may be full under a request
            soak.done[f"refused: {str(error).replace(str(soak.study), 'STUDY')}"] += 1
        except TimeoutError as error:
            soak.faults.append(f"{name}: {error}")
        time.sleep(soak.chosen.uniform(2.0, 10.0))
    soak.clock.write_text("0", encoding="ascii")


def main() -> int:
    """Disturb, check, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scripted", action="store_true", help="with a scripted engine")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mi-tui-soak-"))
    path = [str(HERE / "scripted"), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MI_TUI_MOVED_CLOCK"] = str(folder / "clock")
    if options.scripted:
        os.environ["MI_TUI_SCRIPTED_ENGINE"] = str(HERE.parents[1])
    (folder / "disk").mkdir()
    try:
        with disk(folder / "disk") as mounted:
            preset = small_preset(problems=1000, samples=8, max_rollouts=20_000)
            engine = preset.engine.model_copy(update={"batch": 64})
            preset = preset.model_copy(update={"engine": engine})
            study = create_study(preset, folder / "disk" / "study")
            chosen = random.Random(options.seed)
            soak = Soak(study, mounted, folder / "clock", chosen)
            soak.keep_running()
            with watched(soak):
                disturb(soak, options.minutes)
            if processes.worker_of(study):
                soak.stop()
            soak.check()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(soak.in_words() + "\n")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
