"""The reference sweep of the demo pair: 101 λ on 400 problems.

    python scripts/reference_sweep.py --samples 4

writes ``mi_tui/demo_pair/reference_sweep.csv`` with the engine of the product, the demo preset's
decoding and token cap, and the same problems, samples and random numbers at every λ. What is
measured is kept in a file beside it until the CSV is written, so that a run that was stopped goes
on where it was. One free core takes under ten minutes for each sample. The project must be
importable.

    python scripts/reference_sweep.py --step 5 --problems 100 --rollouts demo_rollouts.npz

stores the rollouts themselves, compressed, for ``python -m benchmarks.replay --rollouts``: here
those of every fifth λ to the first 100 problems.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, Request
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.library import find_preset
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.probes.problem import Probe
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.thinking import parts_of
from mi_tui.study.worker.generation import rollout_seed

LAMBDAS = tuple(round(step / 100, 2) for step in range(101))
PROBLEMS = 400
SEED = 400
"""Neither the problems nor the random numbers are those of the demo study (seed 0)."""
COLUMNS = (
    "pair",
    "method",
    "lambda",
    "probe",
    "samples",
    "mean",
    "mean_se",
    "tokens",
    "tokens_se",
    "think_percent",
    "think_percent_se",
    "truncated_percent",
)


@dataclass(frozen=True, slots=True)
class Pass:
    """One sample of every problem at one λ; the lists run over the problems."""

    sample: int
    lambda_: float
    score: list[float]
    tokens: list[int]
    thinking: list[bool]
    truncated: list[bool]


def main() -> None:
    """Measure what is still missing, then write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4, help="samples of each problem (4)")
    parser.add_argument("--out", type=Path, default=demo_pair_folder() / "reference_sweep.csv")
    parser.add_argument("--rollouts", type=Path, help="store the rollouts here instead, as .npz")
    parser.add_argument("--step", type=int, default=1, help="between two λ, in hundredths (1)")
    parser.add_argument("--problems", type=int, default=PROBLEMS, help=f"({PROBLEMS})")
    options = parser.parse_args()
    if not options.rollouts and (options.step != 1 or options.problems != PROBLEMS):
        parser.error("--step and --problems need --rollouts: the CSV has all λ and problems")
    kept = (options.rollouts or options.out).with_suffix(".jsonl")
    preset = _preset(options.problems)
    probe = freeze(preset.probes[0])
    passes = {(one.sample, one.lambda_): one for one in _read(kept)}
    wanted = [(sample, at) for sample in range(options.samples) for at in LAMBDAS[:: options.step]]
    if missing := [one for one in wanted if one not in passes]:
        engine = open_engine(preset.engine, preset.pair)
        prompts = [engine.encode(engine.render(problem.messages)) for problem in probe.problems]
        for number, (sample, lambda_) in enumerate(missing, start=1):
            one = _measure(engine, preset.recipe(lambda_), probe, prompts, sample)
            passes[sample, lambda_] = one
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(one)) + "\n")
            print(
                f"{number}/{len(missing)}: sample {sample}, λ = {lambda_:.2f}:"
                f" {100 * np.mean(one.score):.1f} %, {np.mean(one.tokens):.1f} tokens",
                flush=True,
            )
        engine.close()
    if options.rollouts:
        write_rollouts(options.rollouts, [passes[one] for one in wanted])
    else:
        write_sweep(options.out, passes, options.samples)
    kept.unlink(missing_ok=True)


def _preset(problems: int) -> Preset:
    """The demo preset on the reference's problems, on one thread."""
    _, demo = find_preset("demo")
    probe = ArithmeticProbe(
        kind="arithmetic",
        problems=problems,
        seed=SEED,
        held_out=0.0,
        max_new_tokens=demo.probes[0].max_new_tokens,
    )
    engine = demo.engine.model_copy(update={"threads": 1, "batch": 200, "mode": "in-place"})
    return demo.model_copy(update={"probes": (probe,), "engine": engine})


def _read(kept: Path) -> Iterator[Pass]:
    if kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            yield Pass(**json.loads(line))


def _measure(
    engine: Engine, recipe: Recipe, probe: Probe, prompts: Sequence[tuple[int, ...]], sample: int
) -> Pass:
    """One response to every problem."""
    engine.add(
        Request(
            id=number,
            recipe=recipe,
            prompt=prompts[number],
            seed=rollout_seed(SEED, probe.sha256, problem.id, sample),
            max_new_tokens=probe.max_new_tokens,
        )
        for number, problem in enumerate(probe.problems)
    )
    done = {}
    while engine.pending:
        done.update({completion.request_id: completion for completion in engine.step()})
    responses = [done[number] for number in range(len(probe.problems))]
    cut = [response.finish_reason == "length" for response in responses]
    return Pass(
        sample=sample,
        lambda_=recipe.lambda_ or 0.0,
        score=[
            np.nan
            if (value := judge(probe.scorer, problem, response.text, cut_off).value) is None
            else value
            for problem, response, cut_off in zip(probe.problems, responses, cut, strict=True)
        ],
        tokens=[response.token_count for response in responses],
        thinking=[
            parts_of(response.text, cut_off).closed
            for response, cut_off in zip(responses, cut, strict=True)
        ],
        truncated=cut,
    )


def write_rollouts(out: Path, passes: Sequence[Pass]) -> None:
    """Store passes as equally long columns, compressed."""
    problems = len(passes[0].score)
    np.savez_compressed(
        out,
        lambda_=np.repeat([one.lambda_ for one in passes], problems),
        problem=np.tile(np.arange(problems, dtype=np.int32), len(passes)),
        sample=np.repeat(np.array([one.sample for one in passes], dtype=np.int32), problems),
        score=np.concatenate([one.score for one in passes]).astype(np.float32),
        tokens=np.concatenate([one.tokens for one in passes]).astype(np.int32),
        thinking=np.concatenate([one.thinking for one in passes]),
        truncated=np.concatenate([one.truncated for one in passes]),
    )


def write_sweep(out: Path, passes: Mapping[tuple[int, float], Pass], samples: int) -> None:
    """Write a row for each λ, standard errors clustered by problem."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for lambda_ in LAMBDAS:
            writer.writerow(_row(lambda_, [passes[s, lambda_] for s in range(samples)]))


def _row(lambda_: float, passes: list[Pass]) -> dict[str, object]:
    method = {0.0: "instruct", 1.0: "thinking"}.get(lambda_, "interpolation")
    score, score_error = _mean([one.score for one in passes], 100)
    tokens, tokens_error = _mean([one.tokens for one in passes], 1)
    thinking, thinking_error = _mean([one.thinking for one in passes], 100)
    truncated, _ = _mean([one.truncated for one in passes], 100)
    values = ("demo", method, lambda_, "arithmetic", len(passes), score, score_error, tokens,
              tokens_error, thinking, thinking_error, truncated)  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _mean(
    columns: list[list[float]] | list[list[int]] | list[list[bool]], scale: int
) -> tuple[float, float]:
    """Mean over problems of their samples' mean, and its standard error over problems."""
    of_problems = scale * np.mean(np.array(columns, dtype=np.float64), axis=0)
    error = float(of_problems.std(ddof=1)) / math.sqrt(len(of_problems))
    return round(float(of_problems.mean()), 3), round(error, 3)


if __name__ == "__main__":
    main()
