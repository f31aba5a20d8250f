"""Plausible studies made by hand, so that screens can be tested without an engine."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mi_tui.analysis.ablation.comparison import ComparedRow, Comparison
from mi_tui.analysis.ablation.grid import grids
from mi_tui.analysis.ablation.result import AblationResult
from mi_tui.analysis.results import (
    Alternative,
    Estimate,
    PairedDifference,
    RecipeSummary,
    Recommendation,
    Stage,
    StageLimits,
)
from mi_tui.analysis.statistics.flips import Answers, Flip, FlipCounts, Flips, ProblemFlips
from mi_tui.analysis.statistics.groups import GroupResults
from mi_tui.checkpoints.network import Network
from mi_tui.checkpoints.relative_gap import Gap, GapCell
from mi_tui.plan.budget import Budget
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.study.view import Breakdown, Progress, StudyEntry, StudyState, StudyView
from mi_tui.tui.studies.responses import ProblemText

MEASURED: tuple[tuple[float, float, float, float, Stage], ...] = (
    (0.0, 0.27, 5.0, 0.00, 1),
    (0.2, 0.30, 6.0, 0.01, 1),
    (0.4, 0.45, 15.0, 0.21, 2),
    (0.5, 0.62, 29.0, 0.47, 2),
    (0.6, 0.80, 51.0, 0.73, 2),
    (0.8, 0.95, 95.0, 0.99, 3),
    (1.0, 0.95, 125.0, 0.99, 3),
)
"""λ, score, tokens, think ratio, stage: the demo pair as its authors measured it."""


def around(value: float, half: float) -> Estimate:
    return Estimate(value=value, low=max(0.0, value - half), high=value + half)


def preset() -> Preset:
    return Preset(
        title="Demo",
        pair=Pair(instruct="bundled:instruct", thinking="bundled:thinking"),
        probes=(ArithmeticProbe(kind="arithmetic", problems=64, max_new_tokens=320),),
        budget=Budget(objective="score-within-tokens", limit=80),
    )


def rows(rollouts: int = 256) -> tuple[RecipeSummary, ...]:
    return tuple(
        RecipeSummary(
            recipe=interpolation(at),
            rollouts=rollouts,
            problems=64,
            samples=4,
            score=around(score, 0.05),
            pass_at_k=around(min(1.0, score + 0.1), 0.05),
            vote_at_k=around(min(1.0, score + 0.06), 0.05),
            vote_ties=around(0.11, 0.05),
            vote_no_answer=around(0.04, 0.02),
            think_ratio=around(think, 0.03),
            tokens=around(tokens, 0.1 * tokens),
            tokens_p50=tokens,
            tokens_p50_interval=around(tokens, 0.1 * tokens),
            tokens_p95=2 * tokens,
            tokens_p95_interval=around(2 * tokens, 0.3 * tokens),
            truncated=0.02 if at == 1.0 else 0.0,
            truncated_interval=around(0.02 if at == 1.0 else 0.0, 0.01),
            seconds=around(0.004 * tokens, 0.0004 * tokens),
            stage=stage,
        )
        for at, score, tokens, think, stage in MEASURED
    )


def recommendation(budget: Budget | None = None, **changes: object) -> Recommendation:
    recipe = interpolation(0.7)
    return Recommendation(
        budget=budget or preset().budget,
        recipe=recipe,
        lambda_=0.7,
        lambda_low=0.65,
        lambda_high=0.74,
        score=around(0.88, 0.03),
        tokens=around(72.0, 5.0),
        seconds=around(0.29, 0.02),
        think_ratio=around(0.9, 0.03),
        probability=0.96,
        expected_loss=0.006,
        feasible=True,
        resolved=True,
        stage=2,
        stage_limits=StageLimits(first=around(0.35, 0.05), second=around(0.75, 0.05)),
        tokens_saved=around(0.42, 0.04),
        score_given_up=around(0.07, 0.03),
        alternatives=(
            Alternative(
                lambda_=0.8,
                score=around(0.95, 0.02),
                tokens=around(95.0, 6.0),
                sentence="7 points more for 23 tokens more",
            ),
        ),
        sentence="λ = 0.70 gives 88 % within 80 tokens and saves 42 % of Thinking's.",
    ).model_copy(update=changes)


def view(
    state: StudyState = StudyState.RUNNING,
    *,
    path: Path = Path("/studies/demo-20261122-120000"),
    table: Sequence[RecipeSummary] | None = None,
    answer: Recommendation | None = None,
    message: str = "",
    change: int = 1,
) -> StudyView:
    shown = rows() if table is None else tuple(table)
    return StudyView(
        path=path,
        name=path.name,
        preset=preset(),
        state=state,
        message=message,
        progress=Progress(
            phase="coarse grid",
            rollouts=sum(row.rollouts for row in shown),
            planned=2400,
            tokens=90_000,
            tokens_per_second=5400.0,
            elapsed_seconds=41.0,
            eta_seconds=22.0,
            running=32,
            device_memory="GPU 21.4 of 79.2 GiB",
        ),
        rows=shown,
        recommendation=answer,
        engine_note="one pass for all λ on CPU, float32",
        change=change,
    )


def breakdown() -> Breakdown:
    """Two strata; the second problem is fixed against λ = 0 and broken against λ = 1."""
    right, wrong = Answers(1.0, 4, 0), Answers(0.25, 4, 1)
    problems = (
        ProblemFlips(0, "arithmetic", "0001", "2 operations", right, (right, right), ALWAYS),
        ProblemFlips(1, "arithmetic", "0002", "3 operations", right, (wrong, wrong), FIXED),
    )
    counts = FlipCounts(None, None, dict.fromkeys(Flip, 0) | {Flip.ALWAYS: 1, Flip.FIXED: 1})
    flips = Flips(
        interpolation(0.6),
        (interpolation(0.0), interpolation(1.0)),
        problems,
        ((counts,), (counts,)),
        wanted=interpolation(0.7),
    )
    groups = tuple(
        GroupResults("arithmetic", stratum, 32, rows())
        for stratum in (None, "2 operations", "3 operations")
    )
    return Breakdown(groups, flips)


def entry(state: StudyState, number: int = 1) -> StudyEntry:
    return StudyEntry(
        path=Path(f"/studies/demo-2026112{number}-120000"),
        name=f"demo-2026112{number}-120000",
        title="Demo",
        state=state,
        rollouts=600 * number,
        planned=2400,
        modified=0.0,
        best="λ 0.7" if state is StudyState.DONE else "",
    )


ALWAYS, FIXED = (Flip.ALWAYS, Flip.ALWAYS), (Flip.FIXED, Flip.FIXED)

PROBLEMS = (
    ProblemText("0001", "Compute 47*6+5-8 mod 100", "79"),
    ProblemText("0002", "Compute 8+9-4 mod 100", "13"),
)


def stored_responses() -> list[dict[str, Any]]:
    """What the reader gives: two problems under every recipe, the newest first."""
    found: list[dict[str, Any]] = []
    for row in rows():
        at = row.recipe.lambda_ or 0.0
        thought = "<think>\n47*6=82\n82+5=87\n87-8=79\n</think>\n" if at >= 0.5 else ""
        for problem in (0, 1):
            found.append(
                {
                    "id": len(found) + 1,
                    "recipe_key": row.recipe.key,
                    "recipe_label": row.recipe.label,
                    "problem": problem,
                    "sample": 0,
                    "score": float(at >= 0.4),
                    "tokens": int(row.tokens.value),
                    "truncated": 0,
                    "answer": "79",
                    "failure": None,
                    "text": f"{thought}\\boxed{{79}}",
                }
            )
    return found[::-1]


def newer(old: StudyView, **changes: object) -> StudyView:
    return replace(old, change=old.change + 1, **changes)  # type: ignore[arg-type]


KINDS = (ModuleKind.ATTENTION, ModuleKind.FFN, ModuleKind.NORMS)


def network(layers: int = 36) -> Network:
    """A dense model with a tied head, as Qwen3-4B is."""
    inside = {(layer, kind) for layer in range(layers) for kind in KINDS}
    outside = {(None, ModuleKind.EMBEDDINGS), (None, ModuleKind.NORMS)}
    return Network(layers, frozenset(inside | outside))


def gap(layers: int = 36) -> Gap:
    """σ that grows with the layers."""
    cells = [
        GapCell(layer, kind, 0.01 + 0.001 * layer, 1000)
        for layer in range(layers)
        for kind in KINDS
    ]
    return Gap(
        sigma=0.0269,
        cells=(*cells, GapCell(None, ModuleKind.EMBEDDINGS, 0.004, 1000)),
        by_layer={layer: 0.01 + 0.001 * layer for layer in range(layers)},
        by_kind=dict.fromkeys(KINDS, 0.027),
    )


def ablation_rows() -> tuple[RecipeSummary, ...]:
    """The full λ 0.61 and parts of the layers at it."""
    parts = ("all", "0-11", "12-23", "24-35")
    some = rows()[0]
    return tuple(
        some.model_copy(
            update={
                "recipe": interpolation(0.61, Scope(layers=parse_layers(part))),
                "score": around(0.8 - 0.1 * number, 0.04),
            }
        )
        for number, part in enumerate(parts)
    )


def ablation_preset() -> Preset:
    search = preset().search.model_copy(update={"refine": False, "grid": (0.0, 0.61, 1.0)})
    recipes = tuple(row.recipe for row in ablation_rows()[1:])
    return preset().model_copy(update={"search": search, "recipes": recipes})


def ablation_result() -> AblationResult:
    reference, *others = ablation_rows()
    compared = tuple(
        ComparedRow(
            label=row.recipe.label,
            summary=row,
            difference=PairedDifference(
                first=row.recipe,
                second=reference.recipe,
                problems=64,
                score=Estimate(value=-0.1 * number, low=-0.1 * number - 0.04, high=-0.01),
                think_ratio=around(0.0, 0.02),
                tokens_ratio=around(0.5, 0.1),
            ),
        )
        for number, row in enumerate(others, start=1)
    )
    found = Comparison(
        reference=reference,
        reference_label=reference.recipe.label,
        rows=compared,
        each_level=0.983,
    )
    return AblationResult(found, grids(ablation_rows(), reference.recipe), None)
