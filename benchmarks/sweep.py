"""The nine-λ sweep without this tool, against ``mi-tui run``: wall clock.

``python -m benchmarks.sweep [--lm-eval PATH] [--merge mi-tui|mergekit] [--problems 64]``

Theirs: for each λ a checkpoint is written (``mi-tui merge``, or ``mergekit-yaml`` with a linear
merge), then ``lm_eval --model hf`` is started on it, a process of its own as users do it, with a
task made of the same problems: same prompts through the chat template, same decoding, same cap,
the last ``\\boxed{…}`` compared with the answer. Ours: ``mi-tui run`` on a preset with the same
λ, problems, samples, decoding and cap, from its start to its recommendation (which includes the
self-check and the measurement of the merged model's speed). Nothing is cached between runs. The
study's tolerance is set so low that it does not stop before all is asked; the rollouts that were
made are printed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installed import compile_package
from mi_tui.checkpoints.locate import locate
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe

LAMBDAS = tuple(at / 8 for at in range(9))
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Sweep:
    problems: int
    samples: int
    cap: int
    batch: int
    lm_eval: str
    merge: str
    environment: dict[str, str]

    @property
    def rollouts(self) -> int:
        return len(LAMBDAS) * self.problems * self.samples


def write_task(sweep: Sweep, folder: Path) -> None:
    """The problems and the task in lm-eval's format (JSON, which is YAML too)."""
    plan = ArithmeticProbe(
        kind="arithmetic", problems=sweep.problems, held_out=0.0, max_new_tokens=sweep.cap
    )
    probe = freeze(plan)
    rows = [{"question": p.messages[0]["content"], "answer": p.answer} for p in probe.problems]
    data = folder / "chains.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    task: dict[str, Any] = {
        "task": "chains",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "output_type": "generate_until",
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "repeats": sweep.samples,
        "generation_kwargs": {
            "until": [],
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.95,
            "top_k": 0,
            "max_gen_toks": sweep.cap,
        },
        "filter_list": [
            {
                "name": "last-box",
                "filter": [
                    {
                        "function": "regex",
                        "regex_pattern": r"\\boxed\{(-?\d+)\}",
                        "group_select": -1,
                    },
                    {"function": "take_first_k", "k": sweep.samples},
                    {"function": "majority_vote"},
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "chains.yaml").write_text(json.dumps(task))


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: a study that cannot decide has still run
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def write_checkpoint(sweep: Sweep, lambda_: float, out: Path) -> None:
    instruct, thinking = (locate(f"bundled:{side}").path for side in ("instruct", "thinking"))
    if sweep.merge == "mi-tui":
        pair = ["--instruct", str(instruct), "--thinking", str(thinking)]
        command = [str(BIN / "mi-tui"), "merge", *pair, "--lambda", str(lambda_), str(out)]
    else:
        recipe = out.with_suffix(".yaml")
        models = [
            {"model": str(path), "parameters": {"weight": weight}}
            for path, weight in ((instruct, 1 - lambda_), (thinking, lambda_))
        ]
        recipe.write_text(
            json.dumps(
                {
                    "merge_method": "linear",
                    "models": models,
                    "tokenizer_source": str(thinking),
                    "dtype": "float32",
                }
            )
        )
        command = [str(BIN / "mergekit-yaml"), str(recipe), str(out)]
    run(command, sweep.environment)
    shutil.copy(thinking / "chat_template.jinja", out / "chat_template.jinja")


def evaluate(sweep: Sweep, checkpoint: Path, task: Path) -> float:
    out = checkpoint.with_suffix(".results")
    run(
        [
            sweep.lm_eval,
            *("--model", "hf", "--model_args", f"pretrained={checkpoint},dtype=float32"),
            *("--tasks", "chains", "--include_path", str(task), "--apply_chat_template"),
            *("--batch_size", str(sweep.batch), "--device", "cpu", "--output_path", str(out)),
        ],
        sweep.environment,
    )
    (found,) = out.rglob("results_*.json")
    score: float = json.loads(found.read_text())["results"]["chains"]["exact_match,last-box"]
    return score


def theirs(sweep: Sweep, folder: Path) -> dict[float, tuple[float, float, float]]:
    """For each λ: the score (majority of the samples), seconds of the merge and of lm-eval."""
    write_task(sweep, folder)
    found = {}
    for lambda_ in LAMBDAS:
        checkpoint = folder / f"merged-{round(1000 * lambda_)}"
        started = time.perf_counter()
        write_checkpoint(sweep, lambda_, checkpoint)
        merged = time.perf_counter()
        score = evaluate(sweep, checkpoint, folder)
        found[lambda_] = (score, merged - started, time.perf_counter() - merged)
    return found


def ours(sweep: Sweep, folder: Path) -> tuple[dict[float, dict[str, Any]], float]:
    """The table's row of each λ, and the seconds of the whole run."""
    preset = folder / "sweep.toml"
    preset.write_text(
        f"""title = "Sweep"
[pair]
instruct = "bundled:instruct"
thinking = "bundled:thinking"
[[probes]]
kind = "arithmetic"
problems = {sweep.problems}
held_out = 0.0
max_new_tokens = {sweep.cap}
[budget]
objective = "score-within-tokens"
limit = 60
[search]
grid = {list(LAMBDAS)}
samples = {sweep.samples}
refine = false
tolerance = 1e-9
[engine]
dtype = "float32"
device = "cpu"
threads = {sweep.environment["OMP_NUM_THREADS"]}
"""
    )
    started = time.perf_counter()
    command = [str(BIN / "mi-tui"), "run", str(preset), "--study", str(folder / "study"), "--json"]
    printed = json.loads(run(command, sweep.environment))
    seconds = time.perf_counter() - started
    return {row["recipe"]["lambda"]: row for row in printed["table"]}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lm-eval", default=str(BIN / "lm_eval"))
    parser.add_argument("--merge", choices=["mi-tui", "mergekit"], default="mi-tui")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--cap", type=int, default=320)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    compile_package()
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(given.threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment["HF_HOME"] = str(folder / "hf")
        sweep = Sweep(
            given.problems,
            given.samples,
            given.cap,
            given.batch,
            given.lm_eval,
            given.merge,
            environment,
        )
        table, seconds = ours(sweep, folder)
        peers = theirs(sweep, folder)
    print("| λ | mi-tui Mean@k | mi-tui Vote@k | lm-eval, vote | merge (s) | lm-eval (s) |")
    print("|---|---|---|---|---|---|")
    for lambda_, (score, merging, evaluating) in peers.items():
        row = table[lambda_]
        mean, vote = row["score"]["value"], (row["vote_at_k"] or row["score"])["value"]
        cells = f"{mean:.3f} | {vote:.3f} | {score:.3f} | {merging:.1f} | {evaluating:.1f}"
        print(f"| {lambda_} | {cells} |")
    cores = len(os.sched_getaffinity(0))
    print(
        f"{given.threads} torch thread(s) for both ways, {cores} cores usable; mi-tui scores in a "
        "process beside the one that generates"
    )
    made = sum(row["rollouts"] for row in table.values())
    whole = sum(merging + evaluating for _, merging, evaluating in peers.values())
    print(
        f"mi-tui run: {seconds:.1f} s for {made} rollouts; {len(LAMBDAS)} × ({sweep.merge} merge + "
        f"lm-eval): {whole:.1f} s for {sweep.rollouts}: {whole / seconds:.1f} ×, per rollout "
        f"{whole / sweep.rollouts / seconds * made:.1f} ×"
    )


if __name__ == "__main__":
    main()
