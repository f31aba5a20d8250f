"""The table of λ on the device: a row for each multiple of 1/256, and rows for named recipes.

Its size is fixed: requests come with any number of different λ and recipes, and a row of a recipe
that no running request uses is given to the next one.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mi_tui.engines.vllm.worker.requested_lambda import RECIPE, requested
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind

Place = tuple[int | None, ModuleKind]
"""A layer (``None``: outside the stack) and a module kind: what has one λ."""

STEPS = 256
"""A plain λ is served to the nearest multiple of 1/256."""

_DEFAULT = STEPS + 1
_FIRST_NAMED = _DEFAULT + 1


class RecipeTable:
    """Rows of λ, and which request uses which.

    ``values`` (float32, ``[places, rows]``) lies on the device and never moves; ``is_zero`` (bool,
    ``[rows, places]``, NumPy) says where a row has Instruct's weights. ``version`` changes when a
    row does.

    Args:
        places: what needs a λ of its own, without repetition.
        named: how many different recipes may be in use at once: as many as requests run.
        default: the recipe of requests that name none.
        device: where the model lies.
    """

    def __init__(
        self, places: Sequence[Place], named: int, default: Recipe, device: torch.device
    ) -> None:
        self._places = tuple(places)
        rows = torch.zeros(len(places), _FIRST_NAMED + named)
        rows[:, :_DEFAULT] = torch.arange(STEPS + 1) / STEPS
        rows[:, _DEFAULT] = torch.tensor(self._row(default))
        self.values = rows.to(device)
        self.is_zero: NDArray[np.bool_] = (rows == 0).T.numpy()
        self.version = 0
        self._free = list(range(_FIRST_NAMED + named - 1, _FIRST_NAMED - 1, -1))
        self._named: OrderedDict[str, int] = OrderedDict()
        self._users: Counter[int] = Counter()
        self._held: dict[str, int] = {}

    def hold(self, request: str, extra_args: Mapping[str, Any] | None) -> int:
        """The row of a request, which stays until the request is released.

        What cannot be read counts as a request that names nothing: it is refused when requests
        are admitted, and a worker that raised here would end them all.

        Args:
            request: its id; one that is held keeps its row.
            extra_args: of its sampling parameters.
        """
        row = self._held.get(request)
        if row is None:
            row = self._held[request] = self._row_for(extra_args)
            self._users[row] += 1
        return row

    def release(self, request: str) -> None:
        """The request's row may be taken for another recipe; unknown ids are ignored."""
        row = self._held.pop(request, None)
        if row is not None:
            self._users[row] -= 1

    def release_all_but(self, requests: Collection[str]) -> None:
        """Release every request but these."""
        for request in self._held.keys() - set(requests):
            self.release(request)

    def _row_for(self, extra_args: Mapping[str, Any] | None) -> int:
        name = (extra_args or {}).get(RECIPE)
        if isinstance(name, str) and name in self._named:
            self._named.move_to_end(name)
            return self._named[name]
        try:
            wanted = requested(extra_args)
        except ValueError:
            wanted = None
        if wanted is None:
            return _DEFAULT
        if isinstance(wanted, float):
            return round(wanted * STEPS)
        return self._name(str(name), wanted)

    def _name(self, name: str, recipe: Recipe) -> int:
        """Give a recipe a row: a free one, or that of the recipe that was asked for longest ago."""
        if not self._free:
            unused = next(old for old, row in self._named.items() if not self._users[row])
            self._free.append(self._named.pop(unused))
        row = self._named[name] = self._free.pop()
        lambdas = torch.tensor(self._row(recipe))
        self.values[:, row] = lambdas.to(self.values.device)
        self.is_zero[row] = (lambdas == 0).numpy()
        self.version += 1
        return row

    def _row(self, recipe: Recipe) -> list[float]:
        return [recipe.lambda_at(layer, kind) for layer, kind in self._places]
