"""The facts of a study: what its ``meta`` table holds, under typed names.

Each fact is one JSON value under one key. This module alone knows the keys and the forms.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from pydantic import BaseModel, ValidationError

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.results import LatencyPoint, Recommendation
from mi_tui.checkpoints.identity import CheckpointIdentity, identity_from
from mi_tui.plan.budget import Budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags
from mi_tui.plan.toml import explain
from mi_tui.plan.until import Until
from mi_tui.probes.text import shown_line
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.possible import SAMPLES, amount, count, impossible_answer
from mi_tui.study.storage.store import Store
from mi_tui.study.view import Progress, StudyState

M = TypeVar("M", bound=BaseModel)
D = TypeVar("D", Latency, LatencyPoint)

_CONFIRMATIONS = "endpoint_confirmations"


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    """The merged model's speed, and where it was measured.

    ``machine`` names host, device and dtype, or says that the speed was given. ``points`` has one
    entry per concurrency.
    """

    machine: str
    latency: Latency
    points: tuple[LatencyPoint, ...]


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """The engine that a study runs with, chosen when it first started, and why it is that one."""

    kind: Literal["transformers", "vllm"]
    why: str


class Change(TypedDict, total=False):
    """What can be kept, by name. Times are Unix seconds, ``elapsed`` is seconds of work.

    ``more`` has the samples that the user asked for beyond the plan, by the recipe's key.
    ``settled`` says whether the search ended certain of its recommendation. ``preset`` is the one
    the study was made of; ``budget`` takes its budget's place, and ``until`` that of its limits.
    ``death`` says how the last worker died. ``weights`` has the identity of each checkpoint by its
    reference.
    """

    preset: Preset
    title: str
    created: float
    started: float
    state: StudyState
    message: str
    death: str
    worker: dict[str, Any]
    engine: ChosenEngine
    engine_note: str
    latency: MeasuredSpeed
    progress: Progress
    elapsed: float
    budget: Budget
    until: Until
    confirmation_dtype: str
    more: dict[str, int]
    settled: bool
    recommendation: Recommendation
    weights: dict[str, CheckpointIdentity]
    thinking_tags: tuple[ThinkingTags, ...]


def keep(store: Store, **facts: Unpack[Change]) -> None:
    """Keep facts, all in one transaction.

    Raises:
        StudyError: the study cannot be written.
    """
    store.put(**{name: _as_json(value) for name, value in facts.items()})


def _as_json(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {key: _as_json(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_as_json(entry) for entry in value]
    return value


def keep_confirmation(store: Store, confirmation: BaseModel) -> None:
    """Add a confirmation on a server to those that are kept."""
    store.append(_CONFIRMATIONS, _as_json(confirmation))


def stored_state(store: Store) -> StudyState:
    """As :attr:`Facts.state`, of one look at one row: for who asks often.

    Raises:
        StudyError: the study cannot be read.
    """
    return Facts({"state": store.get("state", StudyState.NEW)}, store.path.parent).state


class Facts:
    """The facts of a study at one moment. What others wrote in them is harmless to show.

    Args:
        values: the JSON values by key; a study file of someone else may hold anything.
        folder: the study's, for messages.

    Raises:
        StudyError: reading any of them may: it is not what this version writes.
    """

    def __init__(self, values: Mapping[str, Any], folder: Path) -> None:
        self._values = values
        self._folder = folder
        self._name = folder.name

    @classmethod
    def of(cls, store: Store) -> "Facts":
        """All facts as they are now."""
        return cls(store.get_many(), store.path.parent)

    @property
    def is_made(self) -> bool:
        """Whether the study has its preset: without one its making was cut short."""
        return "preset" in self._values

    def require_made(self) -> None:
        """Refuse a study whose making was cut short.

        Raises:
            StudyError: it was.
        """
        if not self.is_made:
            raise StudyError(f"the making of {self._folder} was cut short: delete it")

    @property
    def made_of(self) -> Preset:
        """The preset that the study was made of."""
        self.require_made()
        try:
            return Preset.model_validate(self._values["preset"], strict=False)
        except ValidationError as error:
            raise StudyError(
                f"{self._name} holds a preset that this mi-tui cannot read "
                f"({explain(error.errors())}): upgrade mi-tui"
            ) from error

    @property
    def preset(self) -> Preset:
        """The preset in force.

        It has the budget as the user last set it, the limits of the last continuation, the engine
        that was chosen, and names hub checkpoints with the commits that are measured.
        """
        made = self.made_of
        known = self.weights
        sides = {side: getattr(made.pair, side) for side in ("instruct", "thinking", "base")}
        pins = {side: known[name].pinned for side, name in sides.items() if name in known}
        pair = made.pair.model_copy(update=pins)
        budget = self._model("budget", Budget) or made.budget
        search = self.until.search(made.search) if self.until else made.search
        changes: dict[str, Any] = {"pair": pair, "budget": budget, "search": search}
        if made.engine.kind == "auto" and (chosen := self.engine) is not None:
            changes["engine"] = made.engine.model_copy(update={"kind": chosen.kind})
        return made.model_copy(update=changes)

    @property
    def until(self) -> Until | None:
        """How far the study goes on; ``None`` where it never ended and was continued."""
        return self._model("until", Until)

    @property
    def settled(self) -> bool:
        """Whether the search ended certain of its recommendation."""
        return self._values.get("settled") is True

    @property
    def weights(self) -> dict[str, CheckpointIdentity]:
        """What each reference stood for when it was first measured, by the reference."""
        try:
            kept = self._mapping("weights")
            return {str(name): identity_from(data) for name, data in kept.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise self._unreadable("record of weights", error) from error

    @property
    def thinking_tags(self) -> tuple[ThinkingTags, ...]:
        """What may mark thinking; all known tags before the worker has looked."""
        kept = self._values.get("thinking_tags")
        try:
            return tuple(ThinkingTags(**one) for one in kept) if kept else KNOWN
        except TypeError as error:
            raise self._unreadable("list of thinking tags", error) from error

    @property
    def title(self) -> str:
        """The preset's title; the study's name where there is none."""
        return shown_line(self._values.get("title", self._name))

    @property
    def state(self) -> StudyState:
        """The state as it was last written, whether or not the worker lives."""
        try:
            return StudyState(self._values.get("state", StudyState.NEW))
        except ValueError as error:
            raise self._unreadable("state", error) from error

    @property
    def message(self) -> str:
        """How the study ended, or why it failed."""
        return shown_line(self._values.get("message", ""))

    @property
    def death(self) -> str:
        """How the last worker died, where it could not say so itself; empty else."""
        return shown_line(self._values.get("death", ""))

    @property
    def engine(self) -> ChosenEngine | None:
        """The engine that was chosen; ``None`` where the preset names one, or before the start."""
        kept = self._mapping("engine")
        if not kept:
            return None
        kind = kept.get("kind")
        if kind not in ("transformers", "vllm"):
            raise self._unreadable("engine", ValueError(f"{kind!r} is none"))
        return ChosenEngine(kind, shown_line(kept.get("why", "")))

    @property
    def engine_note(self) -> str:
        """How the engine works on this machine."""
        return shown_line(self._values.get("engine_note", ""))

    @property
    def speed(self) -> MeasuredSpeed | None:
        """The merged model's speed, if it is known."""
        kept = self._mapping("latency")
        if not kept:
            return None
        try:
            points = tuple(_made(LatencyPoint, point) for point in kept["points"])
            latency = _made(Latency, kept["latency"])
            return MeasuredSpeed(shown_line(kept["machine"]), latency, points)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable("speed", error) from error

    @property
    def latency(self) -> Latency | None:
        """The speed's projection of tokens into seconds."""
        return self.speed.latency if self.speed else None

    @property
    def progress(self) -> Progress:
        """How far the worker was at its last report."""
        kept = self._mapping("progress")
        left = kept.get("eta_seconds")
        try:
            return Progress(
                phase=shown_line(kept.get("phase", "")),
                rollouts=count("rollouts", kept.get("rollouts", 0)),
                planned=count("planned", kept.get("planned", 0)),
                tokens=count("tokens", kept.get("tokens", 0)),
                tokens_per_second=amount("tokens_per_second", kept.get("tokens_per_second", 0.0)),
                elapsed_seconds=amount("elapsed_seconds", kept.get("elapsed_seconds", 0.0)),
                eta_seconds=None if left is None else amount("eta_seconds", left),
                running=count("running", kept.get("running", 0)),
                device_memory=shown_line(kept.get("device_memory", "")),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise self._unreadable("progress", error) from error

    @property
    def elapsed(self) -> float:
        """Seconds of work in all, pauses left out."""
        try:
            return amount("elapsed", self._values.get("elapsed", 0.0))
        except (TypeError, ValueError) as error:
            raise self._unreadable("elapsed time", error) from error

    @property
    def more(self) -> dict[str, int]:
        """Samples asked for beyond the plan, by the recipe's key."""
        try:
            kept = self._mapping("more")
            return {str(key): count("samples", samples, SAMPLES) for key, samples in kept.items()}
        except (TypeError, ValueError, OverflowError) as error:
            raise self._unreadable("record of samples asked for", error) from error

    @property
    def confirmation_dtype(self) -> str:
        """The dtype of the weights that answered held-out problems."""
        return shown_line(self._values.get("confirmation_dtype", ""), 40)

    @property
    def recommendation(self) -> Recommendation | None:
        """The answer to the study's own budget, as the worker last gave it."""
        answer = self._model("recommendation", Recommendation, newer=True)
        if answer is not None and (wrong := impossible_answer(answer)):
            raise self._unreadable("recommendation", ValueError(wrong))
        return answer

    @property
    def recommended_lambda(self) -> float | None:
        """λ of the recommendation, without reading the rest; ``None`` where none is recommended."""
        stored = self._mapping("recommendation")
        found = stored.get("lambda") if stored.get("recommended", True) else None
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        if not 0 <= found <= 1:
            raise self._unreadable("recommendation", ValueError(f"λ is {found:g}, not from 0 to 1"))
        return float(found)

    @property
    def confirmations(self) -> tuple[dict[str, Any], ...]:
        """What was confirmed on servers, oldest first, as JSON."""
        kept = self._values.get(_CONFIRMATIONS, ())
        if not isinstance(kept, list | tuple) or not all(isinstance(one, dict) for one in kept):
            raise self._unreadable("record of confirmations", TypeError("not a list of tables"))
        return tuple(kept)

    def _mapping(self, key: str) -> Mapping[str, Any]:
        value = self._values.get(key) or {}
        if not isinstance(value, Mapping):
            raise self._unreadable(key, TypeError("not a table"))
        return value

    def _model(self, key: str, kind: type[M], *, newer: bool = False) -> M | None:
        """A fact as its class; ``newer`` passes over keys that this version does not know."""
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return validated(kind, value) if newer else kind.model_validate(value)
        except ValidationError as error:
            raise self._unreadable(key, ValueError(explain(error.errors()))) from error

    def _unreadable(self, what: str, error: Exception) -> StudyError:
        reason = shown_line(error, 200)
        return StudyError(
            f"{self._name} holds a {what} that this mi-tui cannot read ({reason}): upgrade mi-tui"
        )


def validated(kind: type[M], value: Any) -> M:
    """A result that another version may have written: keys that are not known are passed over.

    Raises:
        ValidationError: it lacks something, or holds what it may not.
    """
    try:
        return kind.model_validate(value, strict=False)
    except ValidationError as error:
        unknown = [one["loc"] for one in error.errors() if one["type"] == "extra_forbidden"]
        if not unknown:
            raise
    known = copy.deepcopy(value)
    for *way, last in unknown:
        inner = known
        for part in way:
            inner = inner[part]
        inner.pop(last, None)
    return kind.model_validate(known, strict=False)


def _made(kind: type[D], value: Mapping[str, Any]) -> D:
    """A measure of finite numbers; keys of a newer version are passed over."""
    names = {field.name for field in fields(kind)}
    return kind(**{name: _finite(value[name]) for name in names & value.keys()})


def _finite(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value
