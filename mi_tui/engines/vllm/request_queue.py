"""The queue of requests, by the weights that must be loaded for them."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mi_tui.engines.protocol import Request
from mi_tui.plan.recipe import Recipe, interpolation


@dataclass(frozen=True, slots=True)
class Weights:
    """One merged model: a recipe without its decoding.

    ``as_exported``: rounded to the dtype of the pair's files, as a merged checkpoint would be.
    """

    recipe: Recipe
    as_exported: bool = False

    @classmethod
    def of(cls, request: Request) -> "Weights":
        """The weights that a request asks for."""
        return cls(without_decoding(request.recipe), request.as_exported)

    @property
    def salt(self) -> str:
        """Shares cached prompts among samples of equal weights, and never between others."""
        text = f"{self.recipe.canonical_json()}/{self.as_exported}"
        return hashlib.sha256(text.encode()).hexdigest()


def without_decoding(recipe: Recipe) -> Recipe:
    """The recipe with the default decoding: recipes of equal weights become equal."""
    return recipe.model_copy(update={"decoding": type(recipe.decoding)()})


INSTRUCT = Weights(without_decoding(interpolation(0.0)))
"""What is loaded when interpolations run in one pass: Δ is added to Instruct."""


class RequestQueue:
    """Requests that have not been handed to vLLM, by the weights that must be loaded for them.

    ``one_pass``: every interpolation of the pair runs on Instruct's weights. Baselines are not
    linear in λ and rounding needs the mixed weights themselves, so these wait for their own merge,
    as everything does without one pass.
    """

    def __init__(self, *, one_pass: bool) -> None:
        self.one_pass = one_pass
        self._queued: list[Request] = []

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests."""
        self._queued += requests

    def drop(self, ids: set[int]) -> None:
        """Forget requests."""
        self._queued = [request for request in self._queued if request.id not in ids]

    def take(self, loaded: Weights) -> list[Request]:
        """Remove and return what the loaded weights can serve, in the order of arrival."""
        taken = [request for request in self._queued if self.needs(request) == loaded]
        self._queued = [request for request in self._queued if self.needs(request) != loaded]
        return taken

    def most_wanted(self) -> Weights | None:
        """The weights that most requests need; those of the first to have come win a tie."""
        counts = Counter(map(self.needs, self._queued))
        return counts.most_common(1)[0][0] if counts else None

    def needs(self, request: Request) -> Weights:
        """What must be loaded for a request to run."""
        wanted = Weights.of(request)
        mixed = self.one_pass and wanted.recipe.is_of_the_pair and not wanted.as_exported
        return INSTRUCT if mixed else wanted
