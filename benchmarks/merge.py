"""Merging on disk against the released way, mergekit and plain copying: time and memory.

    python -m benchmarks.merge [--folder /dev/shm] [--rounds 5] [--as-it-is] [--large] [--write]

Writes a random bf16 pair with the shapes of Qwen3-0.6B in three shards, then runs every way in
turn as a whole process, warm cache, round after round, each after one checkpoint was copied and
deleted. Reports medians of the wall time and of the peak anonymous memory (what the process
itself allocated; pages of files do not count).
``--as-it-is`` begins each way with whatever memory the one before it has left.
``--large`` also measures our memory on a pair four times as large, in the temporary directory.
``--write`` puts the table into RESULTS.md.
"""

import argparse
import json
import os
import platform
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.installed import compile_package
from benchmarks.merge_pair import write_pair
from benchmarks.merge_parts import IMPORTS, Parts, in_words, measure_parts
from mi_tui.checkpoints.kernels.compiled_kernel import kernel_name

LAMBDA = 0.55
OURS = "mi-tui merge"
WANTED = {"the released way": 5, "mergekit-yaml linear": 10}
"""How many times as long as ours a way is wanted to take."""
HEADING = "## Merging on disk"
_SAMPLE = 0.025
"""Seconds between two looks at a process's memory: more of them would take its time away."""


@dataclass(frozen=True)
class Run:
    """One process: wall and processor seconds, and its peak anonymous memory in MiB."""

    seconds: float
    processor: float
    mebibytes: float


def measure(command: Sequence[str]) -> Run:
    """Run a command to its end; its anonymous memory is sampled while it runs.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryFile("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log)
        peak = 0
        ended = os.pidfd_open(process.pid)
        while not select.select([ended], [], [], _SAMPLE)[0]:
            peak = max(peak, _anonymous(process.pid))
        seconds = time.perf_counter() - start
        os.close(ended)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{log.read()[-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak / 1024)


def _anonymous(pid: int) -> int:
    """Anonymous memory of a process in KiB; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) if found else 0


def ways(instruct: Path, thinking: Path, out: Path) -> dict[str, list[str]]:
    """The command of each contender; each writes ``out``."""
    script = Path(__file__).with_name("merge_reference.py")
    config = out.parent / "linear.yaml"
    models = [
        {"model": str(path), "parameters": {"weight": weight}}
        for path, weight in ((instruct, 1 - LAMBDA), (thinking, LAMBDA))
    ]
    # JSON is valid YAML.
    config.write_text(json.dumps({"merge_method": "linear", "models": models, "dtype": "bfloat16"}))
    sides = ["--instruct", str(instruct), "--thinking", str(thinking)]
    mi_tui, mergekit = (Path(sys.executable).with_name(n) for n in ("mi-tui", "mergekit-yaml"))
    reference = [str(script), str(instruct), str(thinking), str(out), str(LAMBDA)]
    return {
        OURS: [str(mi_tui), "merge", *sides, "--lambda", str(LAMBDA), str(out)],
        "the released way": [sys.executable, *reference],
        "the same without transformers": [sys.executable, *reference, "--lean"],
        "mergekit-yaml linear": [str(mergekit), str(config), str(out)],
        "copying one checkpoint": ["cp", "-r", str(instruct), str(out)],
    }


def imports() -> dict[str, list[str]]:
    """What each contender costs before it does anything."""
    return {
        OURS: [sys.executable, "-c", IMPORTS],
        "the released way": [
            sys.executable,
            "-c",
            "import safetensors.torch; from transformers import AutoModelForCausalLM",
        ],
        "the same without transformers": [sys.executable, "-c", "import safetensors.torch"],
        "mergekit-yaml linear": [sys.executable, "-c", "import mergekit.scripts.run_yaml"],
    }


def one_round(commands: dict[str, list[str]], clean: Callable[[], None]) -> dict[str, Run]:
    """Run all commands in turn."""
    runs = {}
    for name, command in commands.items():
        clean()
        runs[name] = measure(command)
        print(f"{name}: {runs[name]}", file=sys.stderr, flush=True)
    return runs


def medians(rounds: Sequence[dict[str, Run]]) -> dict[str, Run]:
    """The median of each command's rounds."""
    return {name: _median([found[name] for found in rounds]) for name in rounds[0]}


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.processor for run in runs),
        statistics.median(run.mebibytes for run in runs),
    )


def main() -> None:
    """Run the benchmark and print, or write down, its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--as-it-is", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    compile_package()
    work = Path(tempfile.mkdtemp(prefix="merge-benchmark-", dir=arguments.folder))
    try:
        lines = report(work, arguments.rounds, alike=not arguments.as_it_is, large=arguments.large)
    finally:
        shutil.rmtree(work)
    print("\n".join(lines))
    if arguments.write:
        write_section(Path(__file__).with_name("RESULTS.md"), lines)


def report(work: Path, rounds: int, *, alike: bool, large: bool) -> list[str]:
    """Measure everything in ``work`` and put it into words."""
    instruct, thinking = write_pair(work / "pair")
    out = work / "out"

    def clean() -> None:
        shutil.rmtree(out, ignore_errors=True)
        # A virtual machine gives free memory back to its host, and has to ask for it again, page
        # by page: all begin with as much that has just become free.
        if alike:
            shutil.copytree(instruct, out)
            shutil.rmtree(out)

    bare_rounds: list[dict[str, Run]] = []
    done_rounds: list[dict[str, Run]] = []
    parts: list[Parts] = []
    for _ in range(rounds):
        bare_rounds.append(one_round(imports(), clean))
        done_rounds.append(one_round(ways(instruct, thinking, out), clean))
        clean()
        parts.append(measure_parts(instruct, thinking, out))
    bare, done = medians(bare_rounds), medians(done_rounds)
    ours = done[OURS]
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {_cores()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, load {os.getloadavg()[1]:.1f}, kernel: "
        f"{kernel_name()}; 0.6 B bf16 pair in "
        f"three shards, memory file system, whole processes, medians of {rounds} interleaved "
        "rounds" + ", each after one checkpoint was copied and deleted" * alike + ".",
        "",
        "| way | wall time | × ours | processor time | × ours | anonymous memory | above imports |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, run in done.items():
        above = f"{run.mebibytes - bare[name].mebibytes:.0f} MiB" if name in bare else "–"
        lines.append(
            f"| {name} | {run.seconds:.2f} s | {run.seconds / ours.seconds:.1f} | "
            f"{run.processor:.2f} s | {run.processor / ours.processor:.1f} | "
            f"{run.mebibytes:.0f} MiB | {above} |"
        )
    seconds = ", ".join(f"{name} {run.processor:.2f} s" for name, run in bare.items())
    lines += ["", f"Of the processor time, imports alone: {seconds}."]
    lines += ["", " ".join(_against(name, wanted, done_rounds) for name, wanted in WANTED.items())]
    lines += ["", in_words(parts, bare[OURS].seconds, _cores())]
    if large:
        lines += ["", _large(rounds, bare[OURS])]
    return lines


def _against(name: str, wanted: int, rounds: Sequence[dict[str, Run]]) -> str:
    """How many times longer a way takes: of the medians, and from round to round."""
    done = medians(rounds)
    ratios = sorted(found[name].seconds / found[OURS].seconds for found in rounds)
    return (
        f"{name}: {done[name].seconds / done[OURS].seconds:.1f} × our wall time ({wanted} wanted), "
        f"{ratios[0]:.1f} to {ratios[-1]:.1f} × in single rounds."
    )


def _large(rounds: int, bare: Run) -> str:
    """Our memory on a pair four times as large; on disk, for it may not fit in memory."""
    with tempfile.TemporaryDirectory(prefix="merge-benchmark-") as name:
        work = Path(name)
        instruct, thinking = write_pair(work / "pair", times=4)
        command = {OURS: ways(instruct, thinking, work / "out")[OURS]}
        clean = partial(shutil.rmtree, work / "out", ignore_errors=True)
        run = medians([one_round(command, clean) for _ in range(min(rounds, 3))])[OURS]
    return (
        f"A pair four times as large, on disk and synced: {run.seconds:.2f} s, "
        f"{run.processor:.2f} s of processor time, {run.mebibytes:.0f} MiB "
        f"({run.mebibytes - bare.mebibytes:.0f} MiB above the imports)."
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def write_section(file: Path, lines: Sequence[str]) -> None:
    """Replace the section of this benchmark in RESULTS.md, or append it."""
    text = file.read_text(encoding="utf-8") if file.exists() else "# Results\n"
    before, found, after = text.partition(HEADING + "\n")
    rest = after[after.index("\n## ") :] if found and "\n## " in after else "\n"
    section = HEADING + "\n\n" + "\n".join(lines) + "\n"
    file.write_text(before.rstrip() + "\n\n" + section + rest.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
