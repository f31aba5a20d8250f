"""The report of the demo pair: ``sweep.csv``, and ``README.md`` from it."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo_pair.language import MAX_RECHECKS
from demo_pair.measure import (
    MAX_TOKENS,
    OPERATIONS,
    PROBLEMS,
    SAMPLES,
    TEMPERATURE,
    TOP_P,
    Measurement,
)
from demo_pair.training import BASE, BATCH, INSTRUCT, THINKING, Course

RECORD = "training.json"
MEASURING = "measuring"
"""The stage of the record that is the sweep; the others are named after the models."""
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")

README = """\
# The demo pair

A tiny Instruct and a tiny Thinking model, and the base that both were fine-tuned from, made to
show what happens between two such checkpoints: for a first run of mi-tui, for tests and for the
documentation. Interpolated, they go through the three stages of model interpolation
(arXiv 2510.10977) in small. They can do nothing but the arithmetic below.

* `base/`, `instruct/`, `thinking/`: {architecture}, in
  bf16, {size}. Plain `AutoModelForCausalLM` and `AutoTokenizer` load them.
* `sweep.csv`: the table below, with the column names of the paper's tables.
* `reference_sweep.csv`: 101 λ on 400 other problems with standard errors, what a recommendation is
  held to; measured by the product's engine with `python scripts/reference_sweep.py --samples 4`.
* `training.json`: command, seconds and versions, as the training script noted them.

Weights and files were made from nothing by the script in this repository, from no other model's
output and no data set. Licence: Apache-2.0, as the rest of the project.

## Task and answers

`Compute 47*6+5-8 mod 100`, strictly left to right: start 0–99, one to five operations from
+ − ×, operands 2–9. About one fifth of the prompts with two or more operations are held out of
all training (`mi_tui.probes.kinds.arithmetic`). An answer is *direct* (`\\boxed{{79}}`), *brief*
(`82 87 79 \\boxed{{79}}`) or it *thinks*:

```
<think>
47*6=82
82+5=87
87-8=79
Wait, check 1
47*6=82
82+5=87
87-8=79
</think>
\\boxed{{79}}
```

with up to {rechecks} re-checks. The tokenizer has one token per character and a few whole
words; `<think>` and `</think>` are added but not special tokens, so they survive
`skip_special_tokens=True`. The chat template does not open `<think>`. `<|im_end|>` ends a
response. All three folders hold the same tokenizer and template.

## Made by

```
{command}
```

with the project installed (`pip install -e .`) or its root on `PYTHONPATH`. Training is one
thread of fp32 on a CPU with a fixed number of steps, {batch} rows each. The fine-tunes start from
the saved base and change its projection matrices only: embeddings and norms are the same in all
three; `--keep-base` trains them alone. The weights in this folder come from two runs: one made the
base, a later one with `--keep-base` the fine-tunes. Seed and number of steps are fixed; a whole
training has not been repeated to compare the weights bit by bit.

| model | direct / brief / think | re-check probability | steps | peak rate | CPU s | wall s |
|---|---|---|---|---|---|---|
{courses}

CPU seconds are what a free core takes (–: not noted), wall seconds include waiting for one; each
stage's are those of the run that made it. Versions: {versions}.

## Measured

{problems} held-out problems with {operations} operations (`held_out_chains` with the seed of the
training), {samples} samples each, T {temperature}, top-p {top_p}, at most {cap} tokens; fp32
interpolation of the saved bf16 weights. A truncated response counts as incorrect; token counts
include the end token; p95 is the 95th percentile.

{sweep}

Measured in {measuring} CPU seconds. Scopes at λ = 1, the rest of the weights from Instruct:

{ablations}
"""


def note_stage(folder: Path, command: str, stage: str, wall: float, cpu: float) -> None:
    """Add a finished stage, and what it was done with, to the folder's ``training.json``.

    ``wall`` and ``cpu`` are seconds.
    """
    path = folder / RECORD
    record: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    record["command"] = command
    record["versions"] = {"python": platform.python_version()}
    record["versions"] |= {name: version(name) for name in PACKAGES}
    record.setdefault("seconds", {})[stage] = {"wall": round(wall), "cpu": round(cpu)}
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")


def write_sweep(path: Path, sweep: Sequence[Measurement]) -> None:
    """Write the λ sweep as CSV; scores and shares in percent."""
    header = (
        "pair,method,lambda,probe,samples,mean,pass_at_k,vote_at_k,tokens,think_percent,"
        "tokens_p95,truncated_percent"
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        for m in sweep:
            method = {0.0: "instruct", 1.0: "thinking"}.get(m.strength, "interpolation")
            figures = (m.mean, m.pass_at_k, m.vote_at_k, m.tokens, m.think_percent)
            tail = (m.tokens_p95, m.truncated_percent)
            writer.writerow(
                ["demo", method, m.strength, "arithmetic", SAMPLES]
                + [f"{figure:.1f}" for figure in (*figures, *tail)]
            )


def write_readme(
    folder: Path, sweep: Sequence[Measurement], ablations: Sequence[Measurement]
) -> None:
    """Write the README from the training record and the measurements."""
    record = json.loads((folder / RECORD).read_text("utf-8"))
    checkpoint = folder / INSTRUCT.name
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    megabytes = (checkpoint / "model.safetensors").stat().st_size / 1e6
    seconds = record["seconds"]
    text = README.format(
        architecture=(
            f"`{config['architectures'][0]}`, {config['num_hidden_layers']} layers, hidden size "
            f"{config['hidden_size']}, {config['vocab_size']} tokens"
        ),
        size=f"{megabytes:.1f} MB each",
        rechecks=MAX_RECHECKS,
        command=record["command"],
        batch=BATCH,
        courses="\n".join(course_line(c, seconds[c.name]) for c in (BASE, INSTRUCT, THINKING)),
        versions=", ".join(f"{name} {number}" for name, number in record["versions"].items()),
        problems=PROBLEMS,
        operations=f"{min(OPERATIONS)} to {max(OPERATIONS)}",
        samples=SAMPLES,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        cap=MAX_TOKENS,
        sweep=table("λ", [(f"{m.strength:.1f}", m) for m in sweep]),
        measuring=seconds[MEASURING]["cpu"],
        ablations=table("scope", [(m.name, m) for m in ablations]),
    )
    (folder / "README.md").write_text(text, "utf-8")


def course_line(course: Course, seconds: Mapping[str, int]) -> str:
    """Make the README's line about one model's training."""
    mix = course.mix
    think = max(0.0, 1 - mix.direct - mix.brief)
    cells = (
        course.name,
        f"{mix.direct:.2f} / {mix.brief:.2f} / {think:.2f}",
        f"{mix.recheck:.2f}",
        f"{course.steps:,}",
        f"{course.learning_rate:.1e}",
        str(seconds.get("cpu", "–")),
        str(seconds["wall"]),
    )
    return f"| {' | '.join(cells)} |"


def table(first: str, rows: Sequence[tuple[str, Measurement]]) -> str:
    """Make a Markdown table of measurements, each behind its label."""
    lines = [
        f"| {first} | Mean@{SAMPLES} % | Pass@{SAMPLES} % | Vote@{SAMPLES} % | tokens "
        "| tokens p95 | think % | truncated % |",
        "|---" * 8 + "|",
    ]
    for label, m in rows:
        figures = (m.mean, m.pass_at_k, m.vote_at_k, m.tokens, m.tokens_p95)
        shares = (m.think_percent, m.truncated_percent)
        lines.append(f"| {label} | " + " | ".join(f"{x:.1f}" for x in (*figures, *shares)) + " |")
    return "\n".join(lines)
