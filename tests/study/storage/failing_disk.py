"""A program that reads and writes a study while the calls of its disk fail, and says how it went.

``python -m tests.study.storage.failing_disk`` with the compiled ``failing_disk.c`` preloaded; each
line of standard input is ``[what, study, kind of call, calls before, errno]``, each line of
standard output ``[exit status, standard error]``. Every case is a forked child, spared the imports.
"""

import ctypes
import json
import os
import sys
import tempfile
from pathlib import Path

KINDS = ("read", "write", "sync", "truncate", "lock", "map")


def write(path: Path) -> None:
    """What screens and the worker write."""
    from mi_tui.study.control import request
    from mi_tui.study.storage.records import PlannedAsk
    from mi_tui.study.storage.store import Store
    from tests.study.storage.test_store import a_rollout

    request(path, "pause")
    with Store(path / "study.db") as store:
        number = store.plan_round([(0, 0, sample) for sample in range(20, 40)])
        asks = [PlannedAsk(0, 0, sample, number) for sample in range(20, 40)]
        store.add_rollouts([a_rollout(ask) for ask in asks])
        store.put(message="x" * 100_000)


def carry_out(what: str, path: Path) -> None:
    """A command, or ``write``; ends the process as the command does."""
    from mi_tui.cli import main

    if what == "write":
        main.app = lambda **_: write(path)  # type: ignore[assignment]
    sys.argv = ["mi-tui", what, *([] if what == "studies" else [str(path)])]
    os.environ["MI_TUI_STUDIES"] = str(path.parent)
    main.run()


def child(case: list[str | int], said: int) -> None:
    """One case, in the child."""
    what, path, kind, calls, error = case
    os.dup2(said, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    ctypes.CDLL(None).fail_from(KINDS.index(str(kind)), calls, error)
    status = 0
    try:
        carry_out(str(what), Path(str(path)))
    except SystemExit as ended:
        status = int(str(ended.code or 0))
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Answer cases until standard input ends."""
    import tests.study.storage.test_store  # noqa: F401

    for line in sys.stdin:
        with tempfile.TemporaryFile() as said:
            pid = os.fork()
            if pid == 0:
                try:
                    child(json.loads(line), said.fileno())
                finally:
                    os._exit(99)
            _, status = os.waitpid(pid, 0)
            said.seek(0)
            words = said.read().decode(errors="replace")
        print(json.dumps([os.waitstatus_to_exitcode(status), words]), flush=True)


if __name__ == "__main__":
    main()
