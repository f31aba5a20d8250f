"""Known speeds: what earlier studies on this machine measured of a pair."""

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.analysis.latency import GIVEN, Latency
from mi_tui.analysis.results import LatencyPoint
from mi_tui.plan.pair import Pair
from mi_tui.study.control import list_studies
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store

_NEWEST = 30
"""How many studies are looked through, the latest first."""


@dataclass(frozen=True, slots=True)
class KnownSpeed:
    """The speed of one merged model of a pair, as a study of this machine measured it.

    ``machine`` names host, device and dtype; ``study`` where it was measured. ``points`` has one
    entry per concurrency. ``tokens_per_second`` is what that study generated in all, 0 where it
    is not known.
    """

    study: str
    machine: str
    latency: Latency
    points: tuple[LatencyPoint, ...]
    tokens_per_second: float


def known_speed(pair: Pair, root: Path | None = None) -> KnownSpeed | None:
    """What the latest study of the same two checkpoints measured on this machine.

    Reads a few small databases: call it away from a screen's event loop. Studies that cannot be
    read are passed over.
    """
    return next(_measured(pair, (e.path for e in list_studies(root)[:_NEWEST])), None)


def _measured(pair: Pair, paths: Iterable[Path]) -> Iterator[KnownSpeed]:
    here = f"{platform.node()} · "
    for path in paths:
        facts = _facts(path)
        kept = facts.get("latency")
        if not kept or kept["machine"] == GIVEN or not kept["machine"].startswith(here):
            continue
        studied = facts.get("preset", {}).get("pair", {})
        if [studied.get(side) for side in ("instruct", "thinking")] == [
            pair.instruct,
            pair.thinking,
        ]:
            yield KnownSpeed(
                study=path.name,
                machine=kept["machine"],
                latency=Latency(**kept["latency"]),
                points=tuple(LatencyPoint(**point) for point in kept["points"]),
                tokens_per_second=_generated_per_second(facts),
            )


def _facts(path: Path) -> dict[str, Any]:
    try:
        with Store(StudyFolder(path).database) as store:
            return store.get_many()
    except StudyError:
        return {}


def _generated_per_second(facts: dict[str, Any]) -> float:
    progress = facts.get("progress", {})
    seconds = float(progress.get("elapsed_seconds", 0.0))
    return float(progress.get("tokens", 0)) / seconds if seconds > 0 else 0.0
