"""Confirmation of an exported checkpoint on the server that runs it."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.recommendation.remarks import NOT_SCORED_LIMIT, share_not_scored
from mi_tui.analysis.results import Estimate, RecipeSummary, Recommendation
from mi_tui.analysis.statistics.intervals import length_interval
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.engines.openai.client import Answer, Endpoint
from mi_tui.plan.base import Plan
from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.thinking_tags import THINK, ThinkingTags
from mi_tui.probes.problem import Score
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.probes.thinking import parts_of
from mi_tui.study.confirmation.questions import (
    AskedSample,
    ConfirmationPlan,
    Progress,
    ServerQuestions,
    questions,
)
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts, keep_confirmation
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.weights import require_same_weights
from mi_tui.text.plurals import counted

_SCORING_SECONDS = 10.0


class Comparison(Plan):
    """One measure: what the study predicts, and what the server's answers gave.

    ``inside`` says whether the measured value lies within the interval that the prediction's
    error and the measurement's own leave together (half-widths added in quadrature); ``None``
    where there is no prediction.
    """

    measure: str
    predicted: Estimate | None
    measured: Estimate
    inside: bool | None


class ServerConfirmation(Plan):
    """What a server that runs the checkpoint answered to the study's held-out problems.

    ``time`` is in Unix seconds. ``first_token`` and ``per_token`` are the medians, with 5 % and
    95 % quantiles as ends, in seconds, seen from the client with ``concurrency`` requests at
    once. ``held_out`` is false when the study keeps no problems apart and all were asked.
    ``efforts`` are the names of this λ on a server with λ per request.
    """

    time: float
    url: str
    model: str
    recipe: Recipe
    problems: int
    samples: int
    concurrency: int
    held_out: bool
    truncated: float
    comparisons: tuple[Comparison, ...]
    first_token: Estimate
    per_token: Estimate | None
    remark: str = ""
    not_scored: int = 0
    efforts: tuple[str, ...] = Field(default=(), exclude_if=lambda efforts: not efforts)

    @property
    def holds(self) -> bool:
        """Whether every measure with a prediction lies inside."""
        return all(one.inside is not False for one in self.comparisons)


def confirm_on_server(
    study: str,
    endpoint: Endpoint,
    plan: ConfirmationPlan,
    *,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> ServerConfirmation:
    """Ask the server the study's held-out problems, score, compare, and keep it in the study.

    Answers are kept as they come: what was stopped or failed goes on where it was.

    Args:
        study: the study's name or directory.
        endpoint: the server.
        plan: how it is asked.
        budget: the question whose recommendation was exported (default: the study's).
        progress: told how many answers of how many have come.

    Raises:
        StudyError: there is no such study, it has no rollouts, or the pair on this machine is no
            longer what it measured.
        EndpointError: the server cannot be reached or does not answer as it should.
    """
    with StudyReader(study) as reader:
        predicted = reader.recommend(budget)
        folder = reader.folder
    return confirm_prediction(folder, predicted, endpoint, plan, progress=progress)


def confirm_prediction(
    folder: StudyFolder,
    predicted: Recommendation,
    endpoint: Endpoint,
    plan: ConfirmationPlan,
    *,
    efforts: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> ServerConfirmation:
    """As :func:`confirm_on_server`, for a recipe and what is predicted of it.

    Args:
        folder: the study.
        predicted: the recipe that the model runs, with its predicted measures.
        endpoint: the server.
        plan: how it is asked, and under which model's name.
        efforts: the names of the λ on the server, to be kept.
        progress: told how many answers of how many have come.

    Raises:
        StudyError, EndpointError: as :func:`confirm_on_server`.
    """
    with Store(folder.database) as store:
        facts = Facts.of(store)
        require_same_weights(facts, where_present=True)
        # Reasoning that the server sends apart is put between the first of these.
        tags = tuple(dict.fromkeys((THINK, *facts.thinking_tags)))
        asked, rows = questions(store, plan.samples)
        arguments = facts.preset.pair.chat_template_kwargs
        seed = facts.preset.search.seed
        open_questions = ServerQuestions(store, endpoint, plan, predicted.recipe, seed, arguments)
        model, answers, remark = asyncio.run(open_questions.ask_all(asked, progress))
        scores = _scores(asked, answers, tags)
        found = _confirmation(
            predicted, plan, asked, rows, answers, scores, facts.latency, tags
        ).model_copy(
            update={"url": endpoint.base, "model": model, "remark": remark, "efforts": efforts}
        )
        keep_confirmation(store, found)
        open_questions.forget(model)
    return found


def stored_confirmations(study: str) -> tuple[ServerConfirmation, ...]:
    """What was confirmed before, oldest first."""
    with StudyReader(study) as reader, Store(reader.folder.database) as store:
        kept = Facts.of(store).confirmations
    return tuple(ServerConfirmation.model_validate(one, strict=False) for one in kept)


def _scores(
    asked: Sequence[AskedSample], answers: Sequence[Answer], tags: Sequence[ThinkingTags]
) -> list[Score]:
    scores: dict[int, Score] = {}
    with ScoringPool(processes=1, time_limit=_SCORING_SECONDS, tags=tags) as pool:
        for at, (wanted, answer) in enumerate(zip(asked, answers, strict=True)):
            cut = answer.finish_reason == "length"
            pool.submit(at, wanted.probe.scorer, wanted.problem, answer.text, cut)
        while pool.pending:
            scores.update(pool.poll(1.0))
    return [scores[at] for at in range(len(asked))]


def _confirmation(
    predicted: Recommendation,
    plan: ConfirmationPlan,
    asked: Sequence[AskedSample],
    rows: Sequence[ProblemRow],
    answers: Sequence[Answer],
    scores: Sequence[Score],
    latency: Latency | None,
    tags: Sequence[ThinkingTags],
) -> ServerConfirmation:
    # Seconds are predicted for one concurrency; others are no like-for-like comparison.
    alike = latency is not None and latency.concurrency == plan.concurrency
    predicted_seconds = predicted.seconds if alike else None
    summary = _summary(predicted.recipe, asked, rows, answers, scores, tags)
    numbers = np.unique([wanted.row for wanted in asked], return_inverse=True)[1]
    waits = np.array([answer.seconds for answer in answers])
    seconds = np.bincount(numbers, waits) / np.bincount(numbers)
    weights = np.full(len(seconds), 1 / len(seconds))
    pairs: tuple[tuple[str, Estimate | None, Estimate], ...] = (
        ("score", predicted.score, summary.score),
        ("tokens", predicted.tokens, summary.tokens),
        ("think ratio", predicted.think_ratio, summary.think_ratio),
        ("seconds", predicted_seconds, length_interval(seconds, weights)),
    )
    rates = [answer.per_token for answer in answers if answer.per_token is not None]
    return ServerConfirmation(
        time=time.time(),
        url="",
        model="",
        recipe=predicted.recipe,
        problems=summary.problems,
        samples=plan.samples,
        concurrency=plan.concurrency,
        held_out=any(rows[wanted.row].held_out for wanted in asked),
        truncated=summary.truncated,
        not_scored=summary.not_scored,
        comparisons=tuple(
            Comparison(
                measure=name,
                predicted=ours,
                measured=theirs,
                inside=None if ours is None else inside(ours, theirs),
            )
            for name, ours, theirs in pairs
        ),
        first_token=_spread([answer.first_token for answer in answers]),
        per_token=_spread(rates) if rates else None,
    )


def _summary(
    recipe: Recipe,
    asked: Sequence[AskedSample],
    rows: Sequence[ProblemRow],
    answers: Sequence[Answer],
    scores: Sequence[Score],
    tags: Sequence[ThinkingTags],
) -> RecipeSummary:
    """The measures as in the study's table, of these problems alone."""
    searched = [ProblemRow(r.probe, r.id, r.stratum, r.weight, r.cap, False) for r in rows]
    cut = np.array([answer.finish_reason == "length" for answer in answers])
    observations = Observations(
        recipes=(recipe,),
        problems=tuple(searched),
        recipe=np.zeros(len(asked), dtype=np.int64),
        problem=np.array([wanted.row for wanted in asked], dtype=np.int64),
        sample=np.array([wanted.sample for wanted in asked], dtype=np.int64),
        score=np.where(cut, 0.0, [np.nan if s.value is None else s.value for s in scores]),
        tokens=np.array([answer.tokens for answer in answers], dtype=np.int64),
        thinking=np.array([parts_of(answer.text, tags=tags).closed for answer in answers]),
        truncated=cut,
        answer=np.full(len(asked), -1, dtype=np.int64),
    )
    if share_not_scored(observations) > NOT_SCORED_LIMIT:
        failures = [score.failure for score in scores if score.value is None]
        raise StudyError(
            f"{len(failures)} of {counted(len(scores), 'answer')} could not be scored"
            f" ({failures[0]}): they say nothing; they are kept, and the same command scores them"
            " again"
        )
    (summary,) = summarise(observations)
    return summary


def inside(predicted: Estimate, measured: Estimate) -> bool:
    """Whether a measured value is what the prediction and both intervals leave possible."""
    gap = measured.value - predicted.value
    ours = predicted.high - predicted.value if gap > 0 else predicted.value - predicted.low
    theirs = measured.value - measured.low if gap > 0 else measured.high - measured.value
    return abs(gap) <= float(np.hypot(ours, theirs))


def _spread(values: Sequence[float]) -> Estimate:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return Estimate(value=float(middle), low=float(low), high=float(high))
