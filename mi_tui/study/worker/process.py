"""The worker process: the only one that imports torch and writes rollouts.

Forked by :mod:`mi_tui.study.worker.supervisor`, which ends it where it is too busy to listen.
"""

import os
import platform
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from mi_tui.analysis.latency import GIVEN, Latency, latency_from_points, latency_of_server
from mi_tui.engines.choice import NAMES, EngineChoice
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, EngineError
from mi_tui.errors import MiTuiError
from mi_tui.plan.preset import Preset
from mi_tui.plan.thinking_tags import ThinkingTags
from mi_tui.probes.freeze import freeze
from mi_tui.probes.scoring.judge import scorer_of
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.study.bounds import require_bounds
from mi_tui.study.preflight import require_fit
from mi_tui.study.storage.facts import ChosenEngine, Facts, MeasuredSpeed, keep
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.thinking_tags import thinking_tags
from mi_tui.study.view import StudyState
from mi_tui.study.weights import settle_weights
from mi_tui.study.worker.generation import Generation
from mi_tui.study.worker.session import Session, own_memory

_SCORING_SECONDS = 10.0


class Interruption:
    """Notes that the process was asked to end; the session ends at the next good moment.

    Takes over the process's signals; a lost terminal does not end it.
    """

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        """Whether the process was asked to end."""
        return self._asked


def work(folder: StudyFolder, interrupted: Callable[[], bool] = lambda: False) -> StudyState:
    """Run the study in a folder until it ends; failures are kept in the store as its message.

    Args:
        folder: of the study.
        interrupted: asked now and then whether to stop.
    """
    with Store(folder.database) as store:
        keep(store, worker={"pid": os.getpid(), "host": platform.node(), "started": time.time()})
        try:
            return _run(store, interrupted)
        except MiTuiError as error:
            keep(store, state=StudyState.FAILED, message=str(error))
            store.log(str(error), "error")
        except MemoryError:
            message = f"the memory is used up ({own_memory()}): a smaller batch or fewer samples"
            keep(store, state=StudyState.FAILED, message=message)
            store.log(message, "error")
        except BaseException as error:  # a panic of a Rust library is no Exception
            traceback.print_exc()
            message = f"unexpected {type(error).__name__}: {error}; details in {folder.log}"
            keep(store, state=StudyState.FAILED, message=" ".join(message.split()))
            store.log(message, "error")
    return StudyState.FAILED


def _run(store: Store, interrupted: Callable[[], bool]) -> StudyState:
    preset = Facts.of(store).preset
    choice = require_fit(preset)
    _settle_engine(store, choice)
    preset = settle_weights(store)
    tags = thinking_tags(preset.pair)
    keep(store, thinking_tags=tags)
    _freeze_probes(store, preset)
    with ScoringPool(processes=1, time_limit=_SCORING_SECONDS, tags=tags) as pool:
        _phase(store, "loading the scorers")
        pool.require(
            scorer_of(problem, probe.scorer)
            for probe in store.probes()
            for problem in probe.problems
        )
        return _study(store, preset, pool, tags, interrupted)


def _study(
    store: Store,
    preset: Preset,
    pool: ScoringPool,
    tags: tuple[ThinkingTags, ...],
    interrupted: Callable[[], bool],
) -> StudyState:
    _phase(store, "loading the models")
    engine = open_engine(preset.engine, preset.pair, preset.longest_cap)
    try:
        _check(store, engine)
        latency = _given_speed(store, preset) or _calibrate(store, engine)
        generation = Generation(engine, pool, store, store.probes(), preset.search.seed, tags)
        for probe in store.probes():
            store.set_example(probe.name, generation.example(probe))
        return Session(store, preset, engine, generation, latency, interrupted).run()
    finally:
        engine.close()


def _settle_engine(store: Store, choice: EngineChoice) -> None:
    """Keep the engine that was chosen: the study goes on with it wherever it is resumed."""
    if choice.chosen and Facts.of(store).engine is None:
        keep(store, engine=ChosenEngine(choice.kind, choice.why))
    store.log(f"{choice.sentence}; {choice.memory.sentence}")


def _freeze_probes(store: Store, preset: Preset) -> None:
    if not store.probes():
        _phase(store, "preparing the probes")
        store.add_probes([freeze(plan) for plan in preset.probes])
    require_bounds(preset, {probe.name: len(probe.problems) for probe in store.probes()})


def _check(store: Store, engine: Engine) -> None:
    _phase(store, "checking the engine against a merged model")
    check = engine.self_check()
    chosen = Facts.of(store).engine
    why = f"{NAMES[chosen.kind]} chosen: {chosen.why}" if chosen else ""
    said = (engine.capabilities.note, check.message, why)
    keep(store, engine_note="; ".join(part for part in said if part))
    store.log(check.message, "info" if check.passed else "error")
    if not check.passed:
        raise EngineError(f"the engine's self-check failed: {check.message}")


def _given_speed(store: Store, preset: Preset) -> Latency | None:
    """The speed of the user's server, kept with the study in place of a measured one."""
    if preset.server is None:
        return None
    latency = latency_of_server(preset.server)
    keep(store, latency=MeasuredSpeed(GIVEN, latency, ()))
    return latency


def _calibrate(store: Store, engine: Engine) -> Latency | None:
    """The merged model's speed: measured once per machine and kept with the study."""
    machine = f"{platform.node()} · {engine.capabilities.device} · {engine.capabilities.dtype}"
    kept = Facts.of(store).speed
    if kept and kept.machine == machine:
        return kept.latency
    _phase(store, "measuring the speed of one merged model")
    points = engine.calibrate()
    latency = latency_from_points(points)
    if latency:
        keep(store, latency=MeasuredSpeed(machine, latency, tuple(points)))
    return latency


def _phase(store: Store, text: str) -> None:
    keep(store, progress=replace(Facts.of(store).progress, phase=text))


def main(folder: StudyFolder) -> int:
    """Run the study in a folder in this process, which is the worker's; the exit status."""
    return 0 if work(folder, Interruption()) in (StudyState.DONE, StudyState.STOPPED) else 1
