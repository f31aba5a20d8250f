"""A program that runs commands in forked children and signals them at a chosen moment.

Started with ``python -m tests.cli.signalled``; each line of standard input is a case in JSON, each
line of standard output what came of it. Forked children are spared the imports. A moment is the
n-th step that a command takes at files below a folder (to open for writing, to sync, to rename, to
remove), or of what is told of a checkpoint that another process writes.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_SUBREAPER = 36
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Case:
    """A command, and the signal that it gets at a step; ``step`` 0 only counts them."""

    words: tuple[str, ...]
    folder: str
    step: int
    signal: int = 0


@dataclass(frozen=True)
class Outcome:
    """The exit status (minus the signal that ended it), what was said, and the steps counted."""

    status: int
    said: str
    steps: int


class Moment:
    """Counts steps, and signals this process at the one that is chosen."""

    def __init__(self, case: Case) -> None:
        self.steps = 0
        self._case = case
        self._owner = os.getpid()

    def step(self) -> None:
        """One more step is about to be taken."""
        if os.getpid() != self._owner:
            return
        self.steps += 1
        if self.steps == self._case.step:
            os.kill(self._owner, self._case.signal)

    def audit(self, event: str, values: tuple[Any, ...]) -> None:
        """A hook for :func:`sys.addaudithook`."""
        if event == "open":
            path, _, flags = values
            counts = isinstance(flags, int) and flags & _WRITES
        else:
            path = values[0] if values else None
            counts = event in ("os.rename", "os.remove", "os.mkdir", "shutil.rmtree")
        if counts and isinstance(path, str | Path) and str(path).startswith(self._case.folder):
            self.step()

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, a step earlier."""

        def stepped(*values: Any, **named: Any) -> Any:
            self.step()
            return call(*values, **named)

        return stepped


def run(case: Case, result: Path) -> None:
    """A case, in the child."""
    from mi_tui.cli import main
    from mi_tui.export import checkpoint_process
    from mi_tui.study.storage.store import Store

    errors = os.open(result.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    moment = Moment(case)
    sys.addaudithook(moment.audit)
    os.fsync = moment.before(os.fsync)
    vars(checkpoint_process)["json"] = Told(moment)
    Store.add_answer = moment.before(Store.add_answer)  # type: ignore[method-assign]
    sys.argv = ["mi-tui", *case.words]
    status: object = 0
    try:
        main.run()
    except SystemExit as ended:
        status = ended.code
    sys.stderr.flush()
    result.write_text(json.dumps({"status": status or 0, "steps": moment.steps}))


class Told:
    """``json`` for what reads the lines of a process that writes a checkpoint."""

    def __init__(self, moment: Moment) -> None:
        self.loads = moment.before(json.loads)
        self.dumps = json.dumps


def outcome(case: Case, result: Path) -> Outcome:
    """Fork, wait for the child and for whatever it left behind."""
    result.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            run(case, result)
        finally:
            os._exit(99)
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            break
        ended[pid] = os.waitstatus_to_exitcode(status)
    said = result.with_suffix(".err").read_text()
    if not result.exists():
        return Outcome(ended[child], said, -1)
    found = json.loads(result.read_text())
    return Outcome(int(found["status"]), said, found["steps"])


def main() -> None:
    """Answer cases until standard input ends."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import mi_tui.api.study
    import mi_tui.cli.main
    import mi_tui.export.bundle  # noqa: F401

    for line in sys.stdin:
        given = json.loads(line)
        case = Case(**{**given, "words": tuple(given["words"])})
        print(json.dumps(asdict(outcome(case, Path(sys.argv[1])))), flush=True)


if __name__ == "__main__":
    main()
