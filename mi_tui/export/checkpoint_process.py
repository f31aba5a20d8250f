"""The export of the recommended checkpoint, in a process of its own.

Run as ``python -m mi_tui.export.checkpoint_process`` it is that process: the job comes as JSON on
standard input, progress and the outcome go as JSON lines to standard output.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mi_tui.analysis.results import RecipeSummary
from mi_tui.errors import MiTuiError
from mi_tui.export.format import Subject
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, labels

CHECKPOINT_DTYPE = "auto"
"""The dtype written: that of the sources."""


class CheckpointExportError(MiTuiError):
    """A merged checkpoint that could not be written."""


def export_checkpoint(
    subject: Subject,
    out: Path,
    progress: Callable[[int, int], object],
    cancelled: Callable[[], bool],
) -> None:
    """Write the recommendation's recipe as a checkpoint directory.

    Args:
        subject: the recommendation whose recipe is merged, and the study for the model card.
        out: the checkpoint's directory; it must not exist yet, or be an earlier export.
        progress: told bytes done and bytes in all.
        cancelled: asked at every progress line; true ends the writing.

    Raises:
        CheckpointExportError: the merge failed or was cancelled; nothing is left behind.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "mi_tui.export.checkpoint_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(_job(subject, out)))
    process.stdin.close()
    failure = ""
    for line in process.stdout:
        message = json.loads(line)
        if "error" in message:
            failure = message["error"]
        else:
            progress(message["done"], message["total"])
        if cancelled():
            process.terminate()
            failure = f"writing {out} was cancelled; nothing was left behind"
            break
    complaints = process.stderr.read().strip().splitlines()
    if process.wait() != 0 or failure:
        last = complaints[-1] if complaints else f"exit status {process.returncode}"
        raise CheckpointExportError(failure or f"writing {out} failed: {last}")


def _job(subject: Subject, out: Path) -> dict[str, Any]:
    view, answer = subject.view, subject.answer
    names = labels([row.recipe for row in view.measured])
    rows = sorted(zip(names, view.measured, strict=True), key=_by_lambda)
    return {
        "recipe": answer.recipe.model_dump(mode="json", by_alias=True),
        "pair": view.preset.pair.model_dump(mode="json"),
        "out": str(out),
        "dtype": CHECKPOINT_DTYPE,
        "title": subject.title,
        "recommendation": f"{answer.budget.in_words}: {answer.sentence}",
        "curve": [
            {
                "label": label,
                "score": row.score.value,
                "tokens": row.tokens.value,
                "think_ratio": row.think_ratio.value,
            }
            for label, row in rows
        ],
        "probes": [probe.name or probe.kind for probe in view.preset.probes],
    }


def _by_lambda(row: tuple[str, RecipeSummary]) -> tuple[bool, float, str]:
    """λ in order, then what has none, each by its label."""
    label, summary = row
    lambda_ = summary.recipe.lambda_
    return lambda_ is None, lambda_ or 0.0, label


def main() -> int:
    """The writing process."""
    # torch comes with the merge, and must not come with this module.
    from mi_tui.checkpoints.merging.model_card import CurvePoint, StudyFacts
    from mi_tui.checkpoints.merging.write import merge

    job = json.load(sys.stdin)

    def tell(**message: object) -> None:
        print(json.dumps(message), flush=True)

    try:
        merge(
            Recipe.model_validate(job["recipe"]),
            Pair.model_validate(job["pair"]),
            Path(job["out"]),
            dtype=job["dtype"],
            progress=lambda done, total: tell(done=done, total=total),
            study=StudyFacts(
                title=job["title"],
                recommendation=job["recommendation"],
                curve=tuple(CurvePoint(**point) for point in job["curve"]),
                probes=tuple(job["probes"]),
            ),
            overwrite=True,
        )
    except MiTuiError as error:
        tell(error=str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
