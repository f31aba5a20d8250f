"""Threads that are watched: what they did is reported, and none outlives a failure."""

import os
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from mi_tui.checkpoints.merging.threads import Tally, thread_count, watch


def _work_for_ever(tally: Tally, begun: threading.Event) -> None:
    while True:
        tally.add(1)
        begun.set()


def test_when_one_fails_the_others_stop() -> None:
    tally, begun = Tally(1), threading.Event()

    def fail() -> None:
        begun.wait()
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as pool:
        endless = pool.submit(_work_for_ever, tally, begun)
        with pytest.raises(ValueError, match="broken"):
            watch([endless, pool.submit(fail)], tally, None)
    assert isinstance(endless.exception(), CancelledError)


def test_an_interrupt_stops_all() -> None:
    tally, begun = Tally(1), threading.Event()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(_work_for_ever, tally, begun)
        with pytest.raises(KeyboardInterrupt):
            watch([endless], tally, interrupt)
    assert isinstance(endless.exception(), CancelledError)


def test_the_last_report_is_of_everything() -> None:
    tally = Tally(40)
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(tally.add, 10) for _ in range(4)]
        watch(running, tally, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_there_is_a_thread_for_each_core_that_may_be_used() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert thread_count() == 1
    finally:
        os.sched_setaffinity(0, cores)
