"""No process outlives the client that it was started for."""

import subprocess
import sys
import textwrap
import time

import psutil

from mi_tui.engines.vllm.orphans import LOOK_SECONDS, Watch

_CLIENT = textwrap.dedent(
    """
    import subprocess, sys
    from mi_tui.engines.vllm.orphans import Watch
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = "import subprocess; print(subprocess.Popen(%r).pid, flush=True); input()" % sleeper
    watch = Watch()
    kept = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE)
    if input() == "end":
        watch.end()
        print("ended", flush=True)
    input()
    """
)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def client() -> tuple[subprocess.Popen[str], psutil.Process]:
    """A process with a watch, a child, and a grandchild that outlives both by itself."""
    started = subprocess.Popen(
        [sys.executable, "-c", _CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    grandchild = psutil.Process(int(started.stdout.readline()))
    time.sleep(2 * LOOK_SECONDS)  # what the watcher has seen cannot be observed
    return started, grandchild


def test_a_killed_client_takes_grandchildren_with_it() -> None:
    started, grandchild = client()
    started.kill()
    started.wait()
    deadline = time.monotonic() + 60
    while lives(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_that_ends_its_watch_keeps_them() -> None:
    started, grandchild = client()
    assert started.stdin is not None
    assert started.stdout is not None
    started.stdin.write("end\n")
    started.stdin.flush()
    assert started.stdout.readline() == "ended\n"
    kept = psutil.Process(started.pid).children()[-1]
    started.kill()
    started.wait()  # its output stays open: the others hold it
    try:
        assert lives(grandchild)
    finally:
        grandchild.kill()
        kept.kill()


def test_a_watch_ends_at_once() -> None:
    watch = Watch()
    watch.end()
    assert vars(watch)["_watcher"].returncode == 0
