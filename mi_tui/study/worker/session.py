"""A session of the worker: plan, generate, score, store, handle requests.

Everything that matters is in the store; a session can end at any moment and the next goes on.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.search.layer_groups import group_result
from mi_tui.analysis.search.two_knobs import knob_result
from mi_tui.engines.protocol import Engine
from mi_tui.errors import MiTuiError
from mi_tui.machine.gpu_load import GpuLoad
from mi_tui.plan.preset import Preset
from mi_tui.study.storage.facts import keep
from mi_tui.study.storage.store import Store
from mi_tui.study.view import Progress, StudyState
from mi_tui.study.worker.clock import Clock
from mi_tui.study.worker.generation import Generation
from mi_tui.study.worker.requests import Requests
from mi_tui.study.worker.rounds import Finished, RoundPlanner
from mi_tui.text.sizes import in_bytes

_SLICE_SECONDS = 0.25
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
        self._requests = Requests(store, self._planner, generation, self._clock)
        self._gpu_load = GpuLoad()
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
            self._store.require_there()
            if self._requests.handle():
                self._next_interim = 0.0
            if self._requests.stopping or self._interrupted():
                self._clock.save()
                keep(self._store, state=StudyState.STOPPED, message="stopped; start it to go on")
                return StudyState.STOPPED
            if self._requests.paused:
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
            message=finished.reason + self._beside_uniform() if answer else failure,
            settled=finished.settled,
        )
        return state

    def _beside_uniform(self) -> str:
        """What came of a λ per layer group, or of two knobs, where they were asked for."""
        preset, latency = self._planner.preset, self._latency
        if preset.search.two_knobs:
            said = knob_result(self._planner.observations(), preset, latency).sentence
        elif preset.search.layer_groups:
            said = group_result(self._planner.observations(), preset, latency).sentence
        else:
            return ""
        return f". {said}".rstrip(".")

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
                device_memory=device_memory(self._engine, self._gpu_load),
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


def device_memory(engine: Engine, load: GpuLoad) -> str:
    """Memory in use, as text: the accelerator's with its load, or else that of this process."""
    accelerator = engine.device_memory()
    if not accelerator:
        return own_memory()
    return " · ".join(part for part in (f"GPU {accelerator}", load.words()) if part)


def own_memory() -> str:
    """The memory this process holds, such as ``worker 614 MiB``; empty where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return ""
    return f"worker {in_bytes(pages * os.sysconf('SC_PAGE_SIZE'))}"
