"""The home screen with very many studies: processor time while nothing happens.

``python -m benchmarks.studies_list [--studies 2000] [--seconds 20]``; a real pseudo-terminal, and
copies of a small finished study. Seconds are those of the app's process, user and system, from the
moment the list is drawn and quiet.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.study.stored import stored_study
from tests.terminal import MI_TUI, Terminal

_QUIET_SECONDS = 5.0


def make_studies(root: Path, count: int) -> None:
    """So many studies, each with a database of its own."""
    first = stored_study(root / "study-00000")
    for number in range(1, count):
        shutil.copytree(first, root / f"study-{number:05d}")


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_seconds(seconds: float, patience: float = 300.0) -> tuple[float, float]:
    """Processor seconds until the list is drawn, and in so many seconds of idleness after."""
    with Terminal(MI_TUI, columns=110, lines=34) as terminal:
        pid = terminal.process.pid
        assert pid is not None
        deadline = time.monotonic() + patience
        while "study-0" not in terminal.text:
            assert time.monotonic() < deadline, terminal.text
            terminal.read(0.2)
        _read_for(terminal, _QUIET_SECONDS)
        drawn = processor_seconds(pid)
        _read_for(terminal, seconds)
        return drawn, processor_seconds(pid) - drawn


def _read_for(terminal: Terminal, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        terminal.read(0.1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the idle home screen.")
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            MI_TUI_STUDIES=f"{folder}/studies",
            XDG_CONFIG_HOME=f"{folder}/config",
            XDG_STATE_HOME=f"{folder}/state",
        )
        make_studies(Path(folder, "studies"), options.studies)
        drawn, idle = idle_seconds(options.seconds)
    print(
        f"{options.studies} studies: {drawn:.1f} s of processor time until the list stands, "
        f"{idle:.2f} s in {options.seconds:g} s of idleness"
    )


if __name__ == "__main__":
    main()
