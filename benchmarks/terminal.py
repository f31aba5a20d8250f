"""The app over SSH: bytes per second, key to screen, time to quit.

``python -m benchmarks.terminal [--seconds 60] [--columns 110] [--lines 34]``; a real
pseudo-terminal, with the demo study running on the same machine. Bytes are those the app writes
to the terminal, counted from the first whole screen on.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mi_tui.plan.library import find_preset
from mi_tui.study.control import create_study, request, start_worker
from mi_tui.study.reader import StudyReader
from tests.terminal import MI_TUI, Terminal

_KEY_EVERY = 0.5
_PATIENCE = 120.0


def running_study() -> Path:
    """The demo study, made long enough to outlast any measurement, with its worker started."""
    _, preset = find_preset("demo")
    probe = preset.probes[0].model_copy(update={"problems": 2000})
    search = preset.search.model_copy(update={"samples": 64, "refine": False})
    path = create_study(preset.model_copy(update={"probes": (probe,), "search": search}))
    start_worker(path)
    with StudyReader(path) as reader:
        deadline = time.monotonic() + _PATIENCE
        while not reader.view().rows:
            assert time.monotonic() < deadline, "the study stored no rollout"
            time.sleep(0.2)
    return path


def stop(study: Path) -> None:
    """End the study's worker and wait for its end."""
    request(study, "stop")
    with StudyReader(study) as reader:
        while reader.view().state.is_active:
            time.sleep(0.2)


def measure_traffic(study: Path, size: tuple[int, int], seconds: float) -> tuple[float, float]:
    """Bytes per second written while looking on: on average, and in the busiest ten seconds."""
    with _watching(study, size) as terminal:
        _settle(terminal)
        start, begin = time.monotonic(), terminal.received
        marks = [(start, begin)]
        while time.monotonic() < start + seconds:
            terminal.read(0.1)
            marks.append((time.monotonic(), terminal.received))
    busiest = max(
        (later[1] - mark[1]) / 10
        for mark in marks
        for later in (next((m for m in marks if m[0] >= mark[0] + 10), marks[-1]),)
    )
    return (marks[-1][1] - begin) / seconds, busiest


def measure_keys(study: Path, size: tuple[int, int], count: int) -> list[float]:
    """Seconds from pressing ``j`` or ``k`` until the table's cursor has moved on the screen."""
    times = []
    with _watching(study, size) as terminal:
        _settle(terminal)
        terminal.press("g")
        _settle(terminal)
        for number in range(count):
            before = cursor_line(terminal)
            start = time.perf_counter()
            terminal.press("k" if number % 2 else "j")
            while cursor_line(terminal) == before:
                terminal.read(0.002)
                assert time.perf_counter() < start + 20, "the cursor did not move"
            times.append(time.perf_counter() - start)
            rest = time.monotonic() + _KEY_EVERY
            while time.monotonic() < rest:
                terminal.read(0.02)
    return times


def cursor_line(terminal: Terminal) -> int:
    """The line of the table that has the cursor's background from its start to the middle."""
    lines = terminal.screen.buffer
    for y in range(3, terminal.screen.lines - 2):
        backgrounds = {lines[y][x].bg for x in range(3, 60)}
        if len(backgrounds) == 1 and backgrounds != {lines[terminal.screen.lines - 3][1].bg}:
            text = terminal.screen.display[y]
            if "MI-" in text:
                return y
    return -1


def measure_quits(study: Path, size: tuple[int, int]) -> dict[str, float]:
    """Seconds from the key to the process's end, at moments at which something is under way."""

    def home(terminal: Terminal) -> None:
        terminal.wait_for("New study", _PATIENCE)

    def at_start(terminal: Terminal) -> None:
        terminal.wait_for("mi-tui", _PATIENCE)

    def models(terminal: Terminal) -> None:
        home(terminal)
        terminal.press("d")
        terminal.wait_for("Instruct", _PATIENCE)

    def sigma(terminal: Terminal) -> None:
        models(terminal)
        terminal.wait_for("Enter goes to Budget", _PATIENCE)
        terminal.press("f4")
        time.sleep(0.3)

    def watching(terminal: Terminal) -> None:
        terminal.wait_for(r"MI-0\.5 ", _PATIENCE)

    def exporting(terminal: Terminal) -> None:
        watching(terminal)
        terminal.press("enter")
        terminal.wait_for("Enter exports", _PATIENCE)
        terminal.press("x", "left", "space", "escape", "enter")
        terminal.wait_for("Export(ing|ed)", _PATIENCE)

    watch = ("watch", str(study))
    moments: dict[str, tuple[Sequence[str], Callable[[Terminal], None]]] = {
        "as the first screen is drawn": ((), at_start),
        "at home": ((), home),
        "during preflight": ((), models),
        "during σ": ((), sigma),
        "while a study runs": (watch, watching),
        "during an export": (watch, exporting),
    }
    times = {}
    for name, (arguments, bring) in moments.items():
        with Terminal((*MI_TUI, *arguments), columns=size[0], lines=size[1]) as terminal:
            bring(terminal)
            start = time.perf_counter()
            terminal.press("ctrl+q")
            terminal.wait_until_ended(_PATIENCE)
            times[name] = time.perf_counter() - start
    return times


def _watching(study: Path, size: tuple[int, int]) -> Terminal:
    terminal = Terminal(
        (*MI_TUI, "watch", str(study)),
        columns=size[0],
        lines=size[1],
        environment={"COLORTERM": "truecolor"},
    )
    terminal.wait_for(r"MI-0\.5 ", _PATIENCE)
    return terminal


def _settle(terminal: Terminal, seconds: float = 3.0) -> None:
    """Read what the first screens write."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        terminal.read(0.1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the app on a pseudo-terminal.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of traffic")
    parser.add_argument("--keys", type=int, default=100, help="to press")
    parser.add_argument("--columns", type=int, default=110)
    parser.add_argument("--lines", type=int, default=34)
    options = parser.parse_args()
    size = (options.columns, options.lines)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            MI_TUI_STUDIES=f"{folder}/studies",
            XDG_CONFIG_HOME=f"{folder}/config",
            XDG_STATE_HOME=f"{folder}/state",
        )
        study = running_study()
        try:
            mean, busiest = measure_traffic(study, size, options.seconds)
            print(
                f"traffic at {size[0]}×{size[1]}: {mean / 1000:.1f} kB/s on average over "
                f"{options.seconds:g} s, {busiest / 1000:.1f} kB/s in the busiest 10 s"
            )
            times = sorted(measure_keys(study, size, options.keys))
            p50, p95 = statistics.median(times), times[int(0.95 * (len(times) - 1))]
            print(
                f"key to screen: p50 {1000 * p50:.0f} ms, p95 {1000 * p95:.0f} ms, worst "
                f"{1000 * times[-1]:.0f} ms ({len(times)} keys)"
            )
            for name, seconds in measure_quits(study, size).items():
                print(f"quit {name}: {seconds:.2f} s")
        finally:
            stop(study)


if __name__ == "__main__":
    main()
