"""A session of the worker: plan, generate, score, store, handle requests.

Everything that matters is in the store; a session can end at any moment and the next goes on.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.search.layer_groups import group_result
from mi_tui.engines.protocol import Engine
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import Budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.study.storage.facts import Facts, keep
from mi_tui.study.storage.records import StoredRequest
from mi_tui.study.storage.store import Store
from mi_tui.study.view import Progress, StudyState
from mi_tui.study.worker.generation import Generation
from mi_tui.study.worker.rounds import Finished, RoundPlanner
from mi_tui.text.sizes import in_bytes

_SLICE_SECONDS = 0.25
_REPORT_SECONDS = 1.0
_RATE_WINDOW_SECONDS = 15.0
_RECOMMEND_SHARE = 20
"""The interim recommendation may take one twentieth of the time."""


class Session:
    """Runs a study until it is done, stopped or interrupted.

    Args:
        store: the study's store, with its probes frozen.
        preset: the preset in force.
        engine: a started engine.
        generation: carries asks through engine and scoring.
        latency: seconds per token of the single merged model, if measured.
        interrupted: says whether the process was asked to end.
    """

    def __init__(
        self,
        store: Store,
        preset: Preset,
        engine: Engine,
        generation: Generation,
        latency: Latency | None,
        interrupted: Callable[[], bool],
    ) -> None:
        self._store = store
        self._engine = engine
        self._generation = generation
        self._latency = latency
        # Held-out problems are answered with the weights as they would be exported.
        self._confirmed_in = engine.capabilities.export_dtype or engine.capabilities.dtype
        self._interrupted = interrupted
        self._low_water = max(1, engine.capabilities.batch_size)
        self._planner = RoundPlanner(store, preset, 2 * self._low_water, latency)
        self._clock = Clock(store)
        self._paused = False
        self._stopping = False
        self._next_interim = 0.0
        self._at_interim = 0

    def run(self) -> StudyState:
        """Go on until there is nothing more to ask; returns how it ended.

        Raises:
            EngineError: the engine cannot go on.
        """
        self._generation.start(self._planner.open_asks)
        keep(
            self._store,
            state=StudyState.RUNNING,
            message="",
            confirmation_dtype=self._confirmed_in,
        )
        finished: Finished | None = None
        while finished is None:
            self._handle_requests()
            if self._stopping or self._interrupted():
                self._clock.save()
                keep(self._store, state=StudyState.STOPPED, message="stopped; start it to go on")
                return StudyState.STOPPED
            if self._paused:
                time.sleep(_SLICE_SECONDS)
                continue
            finished = self._top_up()
            done = self._generation.advance(_SLICE_SECONDS)
            self._planner.store_done([rollout.ask for rollout in done])
            self._clock.count(len(done), sum(rollout.tokens for rollout in done))
            self._report()
        return self._finish(finished)

    def _top_up(self) -> Finished | None:
        """Plan a round when the engine is about to run dry."""
        if self._generation.generating >= self._low_water:
            return None
        planned = self._planner.plan()
        if isinstance(planned, Finished):
            return planned
        self._generation.start(planned)
        return None

    def _finish(self, finished: Finished) -> StudyState:
        answer = self._recommend()
        self._report(force=True)
        state = StudyState.DONE if answer else StudyState.FAILED
        failure = "no recommendation came of the study: its log says why"
        keep(
            self._store,
            state=state,
            message=finished.reason + self._groups() if answer else failure,
            settled=finished.settled,
        )
        return state

    def _groups(self) -> str:
        """What came of a λ per layer group, where one was asked for."""
        preset = self._planner.preset
        if not preset.search.layer_groups:
            return ""
        found = group_result(self._planner.observations(), preset, self._latency)
        return f". {found.sentence}".rstrip(".")

    # -- requests -------------------------------------------------------------------------

    def _handle_requests(self) -> None:
        for wish in self._store.open_requests():
            with self._store.transaction():  # a kill leaves neither half of it
                self._handle(wish)
                self._store.handled(wish)
            labels = {recipe.key: recipe.label for recipe in self._store.recipes()}
            self._store.log(wish.in_words(labels))

    def _handle(self, wish: StoredRequest) -> None:
        if wish.kind == "pause" and not self._paused:
            self._paused = True
            self._clock.pause()
            keep(self._store, state=StudyState.PAUSED)
        elif wish.kind == "resume" and self._paused:
            self._paused = False
            self._clock.resume()
            keep(self._store, state=StudyState.RUNNING)
        elif wish.kind == "stop":
            self._stopping = True
        elif wish.kind == "budget":
            budget = Budget.model_validate(wish.data["budget"])
            self._planner.preset = self._planner.preset.model_copy(update={"budget": budget})
            keep(self._store, budget=budget)
            self._next_interim = 0.0
        elif wish.kind == "add":
            self._store.recipe_index(Recipe.model_validate(wish.data["recipe"]), added_by="user")
        elif wish.kind == "more":
            more = Facts.of(self._store).more
            key = wish.data["recipe"]
            keep(self._store, more={**more, key: more.get(key, 0) + int(wish.data["samples"])})
        elif wish.kind == "drop":
            self._drop(wish.data["recipe"])

    def _drop(self, key: str) -> None:
        for index, recipe in enumerate(self._store.recipes()):
            if recipe.key == key:
                self._store.drop_recipe(recipe)
                self._generation.cancel({index})
        self._planner.reload()

    # -- reports --------------------------------------------------------------------------

    def _report(self, *, force: bool = False) -> None:
        if not self._clock.due() and not force:
            return
        rollouts, tokens = self._store.totals()
        planned = max(self._planner.planned, rollouts + self._generation.running)
        progress = self._clock.progress(
            Progress(
                phase=self._planner.phase,
                rollouts=rollouts,
                planned=rollouts if force else planned,
                tokens=tokens,
                tokens_per_second=0.0,
                elapsed_seconds=0.0,
                eta_seconds=None,
                running=self._generation.generating,
                device_memory=device_memory(self._engine),
            )
        )
        keep(self._store, progress=progress)
        self._clock.save()
        self._interim(rollouts)

    def _interim(self, rollouts: int) -> None:
        """Keep the recommendation as it stands, now and then, when there is new data."""
        now = time.monotonic()
        if now < self._next_interim or rollouts <= self._at_interim:
            return
        if self._store.in_first_round():
            return
        self._recommend()
        self._at_interim = rollouts
        took = time.monotonic() - now
        self._next_interim = time.monotonic() + max(3.0, _RECOMMEND_SHARE * took)

    def _recommend(self) -> Recommendation | None:
        observations = self._planner.observations()
        self._planner.pack()
        if not len(observations):
            return None
        preset = self._planner.preset
        try:
            answer = recommend(
                observations,
                preset.budget,
                latency=self._latency,
                seed=preset.search.seed,
                tolerance=preset.search.tolerance,
                dtype=self._confirmed_in,
                rollouts_per_second=self._clock.rollouts_per_second,
            )
        except MiTuiError as error:
            self._store.log(f"no recommendation: {error}", "warning")
            return None
        keep(self._store, recommendation=answer)
        return answer


class Clock:
    """Elapsed working time over all sessions of a study, and the recent rate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before = Facts.of(store).elapsed
        self._since: float | None = time.monotonic()
        self._done: deque[tuple[float, int, int]] = deque()
        self._last_report = 0.0
        self._first = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of work, pauses left out."""
        return self._before + (time.monotonic() - self._since if self._since else 0.0)

    def pause(self) -> None:
        """Stop counting."""
        self._before, self._since = self.elapsed, None
        self._done.clear()
        self.save()

    def resume(self) -> None:
        """Count again."""
        self._since = self._first = time.monotonic()

    def save(self) -> None:
        """Keep the elapsed time for the next session."""
        keep(self._store, elapsed=self.elapsed)

    def count(self, rollouts: int, tokens: int) -> None:
        """Note what was just finished."""
        now = time.monotonic()
        if rollouts:
            self._done.append((now, rollouts, tokens))
        while self._done and self._done[0][0] < now - _RATE_WINDOW_SECONDS:
            self._done.popleft()

    def due(self) -> bool:
        """Whether the next report is due; at most one a second."""
        now = time.monotonic()
        if now - self._last_report < _REPORT_SECONDS:
            return False
        self._last_report = now
        return True

    @property
    def rollouts_per_second(self) -> float:
        """The recent pace."""
        return sum(done[1] for done in self._done) / self._span

    @property
    def _span(self) -> float:
        return max(1e-9, min(_RATE_WINDOW_SECONDS, time.monotonic() - self._first))

    def progress(self, counted: Progress) -> Progress:
        """Fill in elapsed time, tokens per second and the time left."""
        span = self._span
        rollouts = self.rollouts_per_second
        left = max(0, counted.planned - counted.rollouts)
        return replace(
            counted,
            tokens_per_second=sum(done[2] for done in self._done) / span,
            elapsed_seconds=self.elapsed,
            eta_seconds=left / rollouts if rollouts else None,
        )


def device_memory(engine: Engine) -> str:
    """Memory in use, as text: the accelerator's, or without one that of this process."""
    accelerator = engine.device_memory()
    return f"GPU {accelerator}" if accelerator else own_memory()


def own_memory() -> str:
    """The memory this process holds, such as ``worker 614 MiB``; empty where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return ""
    return f"worker {in_bytes(pages * os.sysconf('SC_PAGE_SIZE'))}"
