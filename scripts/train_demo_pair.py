"""The training, measurement and report of the bundled demo pair.

    python scripts/train_demo_pair.py --seed 1

makes a base, an Instruct and a Thinking model in ``mi_tui/demo_pair`` and measures their mixtures
there. It takes under half an hour of one free CPU core. The project must be importable.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_pair.language import build_tokenizer
from demo_pair.measure import LAMBDAS, Bench, ablations
from demo_pair.report import MEASURING, note_stage, write_readme, write_sweep
from demo_pair.training import (
    BASE,
    INSTRUCT,
    THINKING,
    Course,
    load,
    new_model,
    prepare_torch,
    save,
    train,
)

DEFAULT_OUT = Path(__file__).resolve().parent.parent / "mi_tui" / "demo_pair"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line.

    Attributes:
        seed: Selects the initial weights, the training rows and the problems measured.
        out: Folder that gets the three checkpoints and the files about them.
        threads: CPU threads.
        keep_base: Take the base that is in ``out`` and train only the fine-tunes.
        only_sweep: Train nothing, measure the pair that is in ``out``.
    """

    seed: int
    out: Path
    threads: int
    keep_base: bool
    only_sweep: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="selects everything random (default 1)")
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="where to write (default mi_tui/demo_pair)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--keep-base", action="store_true", help="use the base in OUT: train the fine-tunes only"
    )
    parser.add_argument(
        "--only-sweep", action="store_true", help="train nothing: measure the pair in OUT"
    )
    return Options(**vars(parser.parse_args(arguments)))


def report(line: str) -> None:
    """Print a line of progress with the time of day."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


def make_pair(options: Options) -> None:
    """Train what is asked for and save each model as soon as it is done."""
    tokenizer = build_tokenizer()
    courses: list[Course] = [INSTRUCT, THINKING]
    if not options.keep_base:
        courses.insert(0, BASE)
    for course in courses:
        if course is BASE:
            model = new_model(tokenizer, options.seed)
        else:
            # From the saved bf16 base, so that a fine-tune alone can be done again from it.
            model = load(options.out / BASE.name)
        with timed(options, course.name):
            train(model, tokenizer, course, options.seed, report)
        save(model, tokenizer, course, options.out / course.name)


def measure_pair(options: Options) -> None:
    """Sweep λ, try the scopes and write ``sweep.csv`` and ``README.md``."""
    instruct, thinking = (load(options.out / course.name) for course in (INSTRUCT, THINKING))
    bench = Bench(instruct, thinking, build_tokenizer(), options.seed, report)
    layers = instruct.config.num_hidden_layers
    with timed(options, MEASURING):
        sweep = [bench.measure(f"λ = {x}", x) for x in LAMBDAS]
        scopes = [bench.measure(name, 1.0, scope) for name, scope in ablations(layers).items()]
    write_sweep(options.out / "sweep.csv", sweep)
    write_readme(options.out, sweep, scopes)


@contextmanager
def timed(options: Options, stage: str) -> Iterator[None]:
    """Note in the training record what the block took, when it ends without an error."""
    wall, cpu = time.monotonic(), time.process_time()
    yield
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    command = f"python scripts/train_demo_pair.py --seed {options.seed}"
    note_stage(options.out, command, stage, wall, cpu)


def main() -> None:
    """Train unless told not to, then measure."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    prepare_torch(options.threads)
    if not options.only_sweep:
        make_pair(options)
    measure_pair(options)
    report(f"done: {options.out}")


if __name__ == "__main__":
    main()
