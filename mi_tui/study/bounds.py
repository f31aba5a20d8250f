"""Bounds of a study, and whether it keeps them: asked by form, preset, command, Python and worker.

What a study asks for is bounded twice: by what could make sense at all, and by this machine. A slip
of the keyboard (a thousand million samples) is refused before anything is downloaded or started.
"""

import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from mi_tui.machine.gpus import visible_gpus
from mi_tui.machine.host import core_count, main_memory
from mi_tui.plan.preset import Preset
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.possible import SAMPLES as SAMPLES
from mi_tui.text.sizes import in_bytes

LAMBDAS, RECIPES, PROBES, LAYER_GROUPS = 1_001, 1_000, 100, 64
CAP = 10_000_000
"""Tokens of one response; the longest contexts of today's models."""

ROLLOUTS = 100_000_000
"""In all, as far as they can be told before the probes are drawn."""

BATCH = 16_384
CONCURRENCY = 1_024
THREADS_PER_CORE = 4
RANKS = 4_096
"""Of vLLM, over all nodes of a Ray cluster."""

_ASK_BYTES = 200
"""Of memory for each question (a problem and a sample) that a search chooses from."""
_PROCESS_BYTES = 300 << 20
"""Of an engine process before it has loaded anything: Python with torch and transformers."""
_OTHER_FILES = 64
"""Descriptors that a process needs beside its connections."""


class BoundError(StudyError):
    """More is asked for than makes sense, or than this machine can do."""


@dataclass(frozen=True, slots=True)
class Host:
    """What bounds depend on: cores, GPUs, and the memory that is free, in bytes."""

    cores: int
    gpus: int
    memory: int


@dataclass(frozen=True, slots=True)
class Excess:
    """A bound that is not kept: the field of the form it belongs to, and one line about it."""

    field: str
    message: str


def this_host() -> Host:
    """The machine as it is now; GPUs are looked for once."""
    return Host(core_count(), _gpus(), main_memory().available)


def excesses(
    preset: Preset, host: Host | None = None, problems: Mapping[str, int] | None = None
) -> tuple[Excess, ...]:
    """The bounds that a preset does not keep; none where all is well.

    Args:
        preset: what is asked for.
        host: the machine; by default this one.
        problems: how many problems the probes have, by name, where they have been drawn.
    """
    host = host or this_host()
    work = _of_work(preset, host, problems or {})
    return (*_of_amounts(preset), *work, *_of_engine(preset, host))


def require_bounds(preset: Preset, problems: Mapping[str, int] | None = None) -> None:
    """Refuse a preset that asks for more than makes sense or this machine can do.

    Raises:
        BoundError: the first bound that is not kept.
    """
    if found := excesses(preset, problems=problems):
        raise BoundError(found[0].message)


def require_samples(samples: int, what: str = "samples") -> None:
    """Refuse more samples of a problem than make sense, or none.

    Raises:
        BoundError: with the bound.
    """
    if not 1 <= samples <= SAMPLES:
        raise BoundError(f"{what} = {samples}: write a number from 1 to {SAMPLES:,}")


def require_concurrency(concurrency: int) -> None:
    """Refuse more requests at once than make sense or this process has file descriptors for.

    Raises:
        BoundError: with the bound.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_ones = CONCURRENCY if files == resource.RLIM_INFINITY else files - _OTHER_FILES
    most = max(1, min(CONCURRENCY, open_ones))
    if not 1 <= concurrency <= most:
        why = "" if most == CONCURRENCY else f" (ulimit -n is {files})"
        raise BoundError(f"concurrency = {concurrency}: write a number from 1 to {most:,}{why}")


def require_recipes(recipes: int) -> None:
    """Refuse one recipe more in a study that has so many as no table could show.

    Raises:
        BoundError: with the bound.
    """
    if recipes >= LAMBDAS + RECIPES:
        raise BoundError(f"the study has {recipes:,} recipes: no more can be added")


@cache
def _gpus() -> int:
    return len(visible_gpus(main_memory()).gpus)


def _of_amounts(preset: Preset) -> Iterator[Excess]:
    search, engine = preset.search, preset.engine
    for field, name, value, most in (
        ("samples", "search.samples", search.samples, SAMPLES),
        ("grid", "λ in search.grid", len(search.grid), LAMBDAS),
        ("title", "search.layer_groups", len(search.layer_groups), LAYER_GROUPS),
        ("recipes", "recipes", len(preset.recipes), RECIPES),
        ("probes", "probes", len(preset.probes), PROBES),
        ("title", "engine.batch", engine.batch or 0, BATCH),
    ):
        if value > most:
            yield Excess(field, f"{name}: {value:,} is too many, at most {most:,}")
    for index, probe in enumerate(preset.probes):
        name = probe.name or probe.kind
        if probe.max_new_tokens > CAP:
            words = f"max_new_tokens of {name}: {probe.max_new_tokens:,} is too many"
            yield Excess(f"cap-{index}", f"{words}, at most {CAP:,}")
        if (probe.samples or 0) > SAMPLES:
            words = f"samples of {name}: {probe.samples:,} is too many"
            yield Excess(f"problems-{index}", f"{words}, at most {SAMPLES:,}")


def _of_work(preset: Preset, host: Host, drawn: Mapping[str, int]) -> Iterator[Excess]:
    """The questions to choose from, and the rollouts in all."""
    asks = 0
    for probe in preset.probes:
        # Where all there are is wanted, nobody knows how many that is before they are drawn.
        problems = drawn.get(probe.name or probe.kind) or probe.problems or 1
        asks += problems * (probe.samples or preset.search.samples)
    rows = len(preset.search.grid) + len(preset.recipes)
    wanted = asks * rows
    if wanted > ROLLOUTS:
        yield Excess(
            "samples",
            f"{asks:,} questions (problems × samples) under {rows:,} recipes are {wanted:,} "
            f"rollouts, at most {ROLLOUTS:,}: fewer samples, problems or λ",
        )
    elif asks * _ASK_BYTES > host.memory:
        yield Excess(
            "samples",
            f"{asks:,} questions (problems × samples) take {in_bytes(asks * _ASK_BYTES)} of memory "
            f"to plan, and {in_bytes(host.memory)} are free: fewer samples or problems",
        )


def _of_engine(preset: Preset, host: Host) -> Iterator[Excess]:
    engine, vllm = preset.engine, preset.engine.vllm
    processes, threads = engine.processes or 1, engine.threads or 1
    most = max(host.cores, host.gpus)
    if processes > most:
        there = f"{host.cores} cores and {host.gpus} GPUs" if host.gpus else f"{host.cores} cores"
        yield Excess("title", f"engine.processes: {processes} on {there}, at most {most}")
    elif processes > 1 and processes * _PROCESS_BYTES > host.memory:
        needed = in_bytes(processes * _PROCESS_BYTES)
        yield Excess(
            "title",
            f"engine.processes: {processes} take {needed} of memory before they load anything, "
            f"and {in_bytes(host.memory)} are free",
        )
    if processes * threads > host.cores * THREADS_PER_CORE:
        yield Excess(
            "title",
            f"engine.threads: {threads} in each of {processes} processes on {host.cores} cores, "
            f"at most {THREADS_PER_CORE} for each core",
        )
    ranks = vllm.ranks
    room = RANKS if vllm.executor == "ray" else most
    if engine.kind != "transformers" and ranks > room:
        words = f"engine.vllm: {ranks:,} ranks (tensor × pipeline × data parallel)"
        yield Excess("title", f"{words}, at most {room:,} here")
