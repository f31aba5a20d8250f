"""Confirmation of every effort on a server with λ per request."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.results import Estimate, Recommendation
from mi_tui.engines.openai.client import Endpoint, EndpointError, OpenAIClient
from mi_tui.engines.openai.events import ServedDial
from mi_tui.plan.budget import Budget
from mi_tui.study.confirmation.questions import ConfirmationPlan, Progress
from mi_tui.study.confirmation.server_confirmation import (
    ServerConfirmation,
    confirm_on_server,
    confirm_prediction,
)
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyError


@dataclass(frozen=True, slots=True)
class Offer:
    """One λ of a server, the model's name that stands for it, and its efforts."""

    model: str
    lambda_: float
    efforts: tuple[str, ...]


def confirm_offers(
    study: str,
    endpoint: Endpoint,
    plan: ConfirmationPlan,
    *,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> tuple[ServerConfirmation, ...]:
    """Confirm each λ that a server offers, or the one model of any other server.

    Args:
        study: the study's name or directory.
        endpoint: the server.
        plan: how it is asked; a model's name asks for that one alone.
        budget: the question whose recommendation was exported (default: the study's).
        progress: told how many answers of how many have come, over all λ.

    Raises:
        StudyError: there is no such study, it has no rollouts, the pair on this machine is no
            longer what it measured, or its curve says nothing of a λ.
        EndpointError: the server cannot be reached or does not answer as it should.
    """
    dial = asyncio.run(_dial(endpoint, plan))
    if dial is None:
        return (confirm_on_server(study, endpoint, plan, budget=budget, progress=progress),)
    offers = _wanted(dial, plan.model)
    with StudyReader(study) as reader:
        answer = reader.recommend(budget)
        latency = reader.latency()
        folder = reader.folder
    predictions = [prediction(answer, offer.lambda_, latency) for offer in offers]
    return tuple(
        confirm_prediction(
            folder,
            predicted,
            endpoint,
            plan.model_copy(update={"model": offer.model}),
            efforts=offer.efforts,
            progress=_part(progress, at, len(offers)),
        )
        for at, (offer, predicted) in enumerate(zip(offers, predictions, strict=True))
    )


def offers_of(dial: ServedDial) -> tuple[Offer, ...]:
    """The λ of a dial, each once, from low to high."""
    named: dict[float, list[tuple[str, str]]] = {dial.lambda_: []}
    for effort in dial.efforts:
        named.setdefault(effort.lambda_, []).append((effort.effort, effort.model))
    return tuple(
        Offer(
            dial.model if lambda_ == dial.lambda_ else named[lambda_][0][1],
            lambda_,
            tuple(effort for effort, _ in named[lambda_]),
        )
        for lambda_ in sorted(named)
    )


def prediction(answer: Recommendation, lambda_: float, latency: Latency | None) -> Recommendation:
    """What a study's curve predicts of another λ, in the place of the recommended one's measures.

    Raises:
        StudyError: the curve does not reach there.
    """
    if lambda_ == answer.lambda_:
        return answer
    curve = answer.curve
    if not curve.lambdas or not curve.lambdas[0] <= lambda_ <= curve.lambdas[-1]:
        raise StudyError(f"the study's curve says nothing of λ = {lambda_:g}")

    def at(row: Sequence[Estimate]) -> Estimate:
        value, low, high = (
            float(np.interp(lambda_, curve.lambdas, [getattr(one, end) for one in row]))
            for end in ("value", "low", "high")
        )
        return Estimate(value=value, low=low, high=high)

    tokens = at(curve.tokens)
    return answer.model_copy(
        update={
            "recipe": answer.recipe.model_copy(update={"lambda_": lambda_}),
            "lambda_": lambda_,
            "score": at(curve.score),
            "tokens": tokens,
            "think_ratio": at(curve.think_ratio),
            "seconds": None if latency is None else latency.project(tokens),
        }
    )


async def _dial(endpoint: Endpoint, plan: ConfirmationPlan) -> ServedDial | None:
    """The server's dial; servers whose models are not named as one has them are not asked."""
    async with OpenAIClient(endpoint) as client:
        names = await client.models() if plan.model is None else [plan.model]
        return await client.dial() if any("@" in name for name in names) else None


def _wanted(dial: ServedDial, model: str | None) -> tuple[Offer, ...]:
    offers = offers_of(dial)
    if model is None:
        return offers
    by_name = {effort.model: effort.lambda_ for effort in dial.efforts}
    lambda_ = by_name.get(model)
    if lambda_ is None:
        _, _, wanted = model.partition("@")
        try:
            lambda_ = float(wanted)
        except ValueError:
            known = ", ".join((dial.model, *by_name))
            raise EndpointError(f"the server has no model {model}, but {known}") from None
    efforts = tuple(each.effort for each in dial.efforts if each.model == model)
    return (Offer(model, lambda_, efforts),)


def _part(progress: Progress | None, at: int, parts: int) -> Progress | None:
    """Progress over all λ, each of which has as many questions."""
    if progress is None:
        return None
    return lambda done, total: progress(at * total + done, parts * total)
