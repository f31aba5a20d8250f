"""Start times: ``--help``, the first screen, and the demo's recommendation.

``python -m benchmarks.startup [--runs 9]``; a real pseudo-terminal of 80×24, warm caches. The
demo is timed from starting its worker to its recommendation, once for every three runs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.installed import compile_package
from mi_tui.plan.library import find_preset
from mi_tui.study.control import create_study, start_worker
from mi_tui.study.reader import StudyReader
from mi_tui.study.view import StudyState
from tests.terminal import MI_TUI, Terminal


def help_seconds() -> float:
    """Wall time of ``mi-tui --help``, the whole process."""
    start = time.perf_counter()
    subprocess.run([*MI_TUI, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_screen_seconds(studies: str) -> float:
    """Wall time from starting the process to the home screen's list being on the terminal."""
    start = time.perf_counter()
    with Terminal(MI_TUI, environment={"MI_TUI_STUDIES": studies}) as terminal:
        terminal.wait_for("New study")
        return time.perf_counter() - start


def demo_seconds() -> float:
    """Wall time from starting the demo study to its recommendation."""
    path = create_study(find_preset("demo")[1])
    start = time.perf_counter()
    start_worker(path)
    with StudyReader(path) as reader:
        while (view := reader.view()).state.is_active:
            time.sleep(0.2)
    assert view.state is StudyState.DONE, view.message
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the start.")
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    compile_package()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as studies:
        os.environ["MI_TUI_STUDIES"] = studies
        for name, measure, count in (
            ("mi-tui --help", help_seconds, runs),
            ("first screen", lambda: first_screen_seconds(studies), runs),
            ("demo study", demo_seconds, max(1, runs // 3)),
        ):
            measure()
            times = [measure() for _ in range(count)]
            print(
                f"{name:<14} median {statistics.median(times):.2f} s "
                f"({min(times):.2f} to {max(times):.2f}, {count} runs)"
            )


if __name__ == "__main__":
    main()
