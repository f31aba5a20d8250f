"""Diagnosis of an engine with a pair on this machine, for ``mi-tui doctor --preset``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mi_tui.analysis.results import LatencyPoint
from mi_tui.engines.protocol import Capabilities, Engine, SelfCheck
from mi_tui.engines.transformers.weights.cost_model import CostModel, Work

RECIPES = 9
"""How many λ the forecasts are for: an even grid in steps of an eighth."""

_EACH = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PROMPT_TOKENS = 64


@runtime_checkable
class MeasuresCost(Protocol):
    """An engine that chooses between one pass and λ in place."""

    def cost_model(self) -> CostModel:
        """The measurements that it chooses by."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """Milliseconds of one step of so many sequences: one merged model, and one pass.

    ``one_pass`` is ``None`` where the model cannot be mixed in one pass.
    """

    sequences: int
    single: float
    one_pass: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds for :data:`RECIPES` recipes with so many responses each, in both ways."""

    each: int
    one_pass: float
    in_place: float

    @property
    def cheaper(self) -> str:
        """The way with the lower forecast, as the engine would choose it."""
        return "one pass" if self.one_pass < self.in_place else "in place"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out; ``steps``, ``switch`` (milliseconds) and ``forecasts`` only of engines
    that choose between one pass and in place. Forecasts are for responses of
    ``response_tokens`` tokens on average."""

    capabilities: Capabilities
    self_check: SelfCheck
    latency: tuple[LatencyPoint, ...]
    steps: tuple[StepCost, ...] = ()
    switch: float | None = None
    response_tokens: int = 0
    forecasts: tuple[Forecast, ...] = ()


def diagnose(engine: Engine, response_tokens: int = 256) -> Diagnosis:
    """Check an engine, measure its steps and forecast what a sweep over λ would take.

    Raises:
        EngineError: the engine cannot go on.
    """
    check = engine.self_check()
    latency = engine.calibrate()
    # The check may have given one pass up, so this comes after it.
    able = engine.capabilities
    if not isinstance(engine, MeasuresCost):
        return Diagnosis(able, check, latency)
    model = engine.cost_model()
    mixes = able.mixes_recipes
    return Diagnosis(
        able,
        check,
        latency,
        steps=_steps(model, mixes),
        switch=1000 * model.switch,
        response_tokens=response_tokens,
        forecasts=_forecasts(model, able.batch_size, response_tokens) if mixes else (),
    )


def _steps(model: CostModel, mixes: bool) -> tuple[StepCost, ...]:
    single, mixed = model.single.points, model.mixed.points
    return tuple(
        StepCost(
            sequences,
            1000 * single[sequences].step,
            1000 * mixed[sequences].step if mixes else None,
        )
        for sequences in sorted(single)
    )


def _forecasts(model: CostModel, capacity: int, response_tokens: int) -> tuple[Forecast, ...]:
    works: Sequence[tuple[int, Work]] = [
        (each, Work(dict.fromkeys(range(RECIPES), each), _PROMPT_TOKENS, response_tokens))
        for each in _EACH
    ]
    return tuple(
        Forecast(each, model.one_pass(work, capacity), model.in_place(work, capacity))
        for each, work in works
    )
