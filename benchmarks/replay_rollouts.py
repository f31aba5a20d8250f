"""Real rollouts to replay: those of a finished dense study, drawn again as they were."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay_surface import ReplayedProbe, Response, Surface, SurfaceError

NAMES = ("lambda_", "problem", "sample", "score", "tokens", "thinking", "truncated")


@dataclass(frozen=True)
class Rollouts:
    """Rollouts by λ and problem.

    ``lambdas`` (recipes,) increase from 0 to 1; ``cells[i][j]`` are the rows of ``responses`` that
    belong to λ i and problem j, never empty.
    """

    lambdas: NDArray[np.float64]
    cells: tuple[tuple[NDArray[np.int64], ...], ...]
    responses: tuple[Response, ...]


def read_rollouts(path: Path) -> Surface:
    """The surface of a study directory, or of an ``.npz`` file of ``scripts/reference_sweep.py``.

    Between two λ that were asked, the means are interpolated linearly: a response there is one of
    either side, by chance.

    Raises:
        SurfaceError: fewer than three λ have answers to the same problems, or an end is missing.
    """
    columns = _stored(path) if path.suffix == ".npz" else _of_study(path)
    lambdas, at = np.unique(np.round(columns["lambda_"], 4), return_inverse=True)
    problems, of = np.unique(columns["problem"], return_inverse=True)
    common = [j for j in range(len(problems)) if len(np.unique(at[of == j])) == len(lambdas)]
    if len(lambdas) < 3 or not common or lambdas[0] != 0 or lambdas[-1] != 1:
        raise SurfaceError(
            f"{path} is no dense study: three λ from 0 to 1 and problems asked at all of them"
            " are needed"
        )
    cells = tuple(
        tuple(np.flatnonzero((at == i) & (of == j)) for j in common) for i in range(len(lambdas))
    )
    measured = ("score", "tokens", "thinking")
    means = [
        [float(np.mean([columns[name][cell].mean() for cell in row])) for row in cells]
        for name in measured
    ]
    grid = np.round(np.linspace(0, 1, 101), 2)
    score, tokens, thinking = (np.interp(grid, lambdas, values) for values in means)
    kept = zip(*(columns[name].tolist() for name in (*measured, "truncated")), strict=True)
    return Surface(
        path.stem,
        grid,
        score,
        tokens,
        thinking,
        int(columns["tokens"].max()),
        Rollouts(lambdas, cells, tuple(kept)),
    )


def _stored(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        if missing := [name for name in NAMES if name not in file.files]:
            raise SurfaceError(f"{path} holds no rollouts: it lacks {', '.join(missing)}")
        return {name: file[name] for name in NAMES}


def _of_study(path: Path) -> dict[str, NDArray[Any]]:
    from mi_tui.analysis.statistics.cells import searched
    from mi_tui.analysis.statistics.curve import family
    from mi_tui.study.reader import StudyReader

    with StudyReader(path) as reader:
        seen = reader.observations()
    mine = family(seen.recipes)
    rows = np.isin(seen.recipe, mine) & searched(seen.problems)[seen.problem]
    lambdas = np.array([recipe.lambda_ or 0.0 for recipe in seen.recipes])
    found = seen.where(rows)
    columns = {name: getattr(found, name) for name in NAMES if name != "lambda_"}
    return {**columns, "lambda_": lambdas[found.recipe]}


class ResampledProbe(ReplayedProbe):
    """Rollouts of a surface that has real ones: problems and responses drawn with replacement."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.surface.rollouts is not None
        self._rollouts = self.surface.rollouts
        draw = np.random.default_rng([self.seed, 1])
        self._random = np.random.default_rng([self.seed, 2])
        self._of = draw.integers(0, len(self._rollouts.cells[0]), self.problems)

    def _draw(self, lambda_: float, problem: int) -> Response:
        known = self._rollouts.lambdas
        after = int(np.clip(np.searchsorted(known, lambda_), 1, len(known) - 1))
        weight = (lambda_ - known[after - 1]) / (known[after] - known[after - 1])
        side = after if self._random.random() < weight else after - 1
        cell = self._rollouts.cells[side][self._of[problem]]
        score, tokens, thinking, cut = self._rollouts.responses[self._random.choice(cell)]
        return float(score), int(tokens), bool(thinking), bool(cut)
