"""No process outlives the client that it was started for."""

import subprocess
import sys
import textwrap
import time

import psutil

from mi_tui.engines.vllm.orphans import Watch

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_marked_processes_end_with_the_watch_and_others_stay() -> None:
    watch = Watch()
    with watch.marked():
        marked = subprocess.Popen(SLEEPER)
    other = subprocess.Popen(SLEEPER)
    try:
        watch.end()
        assert marked.wait(timeout=30) != 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_killed_client_takes_grandchildren_with_it() -> None:
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import subprocess, sys
                from mi_tui.engines.vllm.orphans import Watch
                sleeper = {SLEEPER!r}
                child = "import subprocess; print(subprocess.Popen(%r).pid, flush=True); input()"
                with Watch().marked():
                    subprocess.Popen([sys.executable, "-c", child % sleeper], stdin=subprocess.PIPE)
                input()
                """
            ),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    grandchild = psutil.Process(int(client.stdout.readline()))
    client.kill()
    client.communicate()
    deadline = time.monotonic() + 30
    while lives(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.05)
