"""How long ``mi-tui --help`` takes and when the app's first screen is drawn, as medians.

``python -m benchmarks.startup [--runs 9]``; a real pseudo-terminal of 80×24, warm caches.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the start.")
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as studies:
        for name, measure in (
            ("mi-tui --help", help_seconds),
            ("first screen", lambda: first_screen_seconds(studies)),
        ):
            measure()
            times = [measure() for _ in range(runs)]
            print(
                f"{name:<14} median {statistics.median(times):.2f} s "
                f"({min(times):.2f} to {max(times):.2f}, {runs} runs)"
            )


if __name__ == "__main__":
    main()
