"""Known speeds: what earlier studies on this machine measured of a pair."""

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.results import LatencyPoint
from mi_tui.plan.pair import Pair
from mi_tui.study.control import list_studies
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store

_NEWEST = 30
"""How many studies are looked through, the latest first."""


@dataclass(frozen=True, slots=True)
class KnownSpeed:
    """The speed of one merged model of a pair, as a study of this machine measured it.

    ``machine`` names host, device and dtype; ``study`` where it was measured. ``points`` has one
    entry per concurrency. ``tokens_per_second`` is what that study generated in all, 0 where it
    is not known; ``tokens_per_response`` the mean length there, over the λ that it asked, 0 where
    it asked none, and ``probes`` the kinds of problems that it asked.
    """

    study: str
    machine: str
    latency: Latency
    points: tuple[LatencyPoint, ...]
    tokens_per_second: float
    tokens_per_response: float = 0.0
    probes: frozenset[str] = frozenset()


def known_speed(pair: Pair, root: Path | None = None) -> KnownSpeed | None:
    """What the latest study of the same two checkpoints measured on this machine.

    Reads a few small databases: call it away from a screen's event loop. Studies that cannot be
    read are passed over.
    """
    return next(_measured(pair, (e.path for e in list_studies(root)[:_NEWEST])), None)


def _measured(pair: Pair, paths: Iterable[Path]) -> Iterator[KnownSpeed]:
    for path in paths:
        try:
            known = _measured_in(path, pair)
        except StudyError:
            continue
        if known is not None:
            yield known


def _measured_in(path: Path, pair: Pair) -> KnownSpeed | None:
    with Store(StudyFolder(path).database, reading=True) as store:
        facts = Facts.of(store)
    speed = facts.speed
    if speed is None or not speed.machine.startswith(f"{platform.node()} · "):
        return None
    studied = facts.made_of.pair
    if (studied.instruct, studied.thinking) != (pair.instruct, pair.thinking):
        return None
    progress = facts.progress
    seconds = progress.elapsed_seconds
    return KnownSpeed(
        study=path.name,
        machine=speed.machine,
        latency=speed.latency,
        points=speed.points,
        tokens_per_second=progress.tokens / seconds if seconds > 0 else 0.0,
        tokens_per_response=progress.tokens / max(progress.rollouts, 1),
        probes=frozenset(plan.kind for plan in facts.made_of.probes),
    )
