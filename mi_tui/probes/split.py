"""The split of a probe's problems into search and held-out part, stratified by a seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from mi_tui.probes.problem import Problem


def split(problems: Sequence[Problem], held_out: float, seed: int) -> tuple[Problem, ...]:
    """The same problems in the same order, each marked search or held-out.

    ``held_out`` is the share of held-out problems; every stratum keeps it up to less than one
    problem (largest remainders decide), and the whole up to rounding. Neither part is left empty
    unless ``held_out`` is 0 or there is one problem.
    """
    total = round(held_out * len(problems))
    if held_out > 0 and len(problems) > 1:
        total = min(max(total, 1), len(problems) - 1)
    chosen = _choose(problems, total, f"split/{seed}")
    return tuple(
        replace(problem, split="held-out" if index in chosen else "search")
        for index, problem in enumerate(problems)
    )


def sample(problems: Sequence[Problem], count: int, seed: int) -> list[Problem]:
    """``count`` of the problems, or all if there are fewer, in their order.

    Every stratum keeps its share up to less than one problem.
    """
    chosen = _choose(problems, min(count, len(problems)), f"sample/{seed}")
    return [problem for index, problem in enumerate(problems) if index in chosen]


def _choose(problems: Sequence[Problem], total: int, seed: str) -> set[int]:
    strata: dict[str, list[int]] = {}
    for index, problem in enumerate(problems):
        strata.setdefault(problem.stratum, []).append(index)
    chosen: set[int] = set()
    for stratum, count in _quotas({name: len(v) for name, v in strata.items()}, total).items():
        shuffled = sorted(strata[stratum], key=lambda index: _draw(seed, problems[index].id))
        chosen.update(shuffled[:count])
    return chosen


def _quotas(sizes: dict[str, int], total: int) -> dict[str, int]:
    """``total`` shared out in proportion to the sizes, by largest remainders."""
    whole = sum(sizes.values())
    quotas = {name: size * total // whole for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(sizes[name] * total % whole), name))
    for name in by_remainder[: total - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _draw(seed: str, key: str) -> bytes:
    """A random number that depends on nothing but the seed and the key."""
    return hashlib.sha256(f"{seed}/{key}".encode()).digest()
