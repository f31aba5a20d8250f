"""Requests of screens and commands to a running worker: pause, stop, budget, end and recipes."""

from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.until import Until
from mi_tui.study.bounds import BoundError, require_recipes, require_samples
from mi_tui.study.storage.facts import Facts, keep
from mi_tui.study.storage.records import StoredRequest
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.clock import Clock
from mi_tui.study.worker.generation import Generation
from mi_tui.study.worker.rounds import RoundPlanner


class Requests:
    """What was asked of the worker, and what came of it.

    Args:
        store: the study's store, in which requests are left.
        planner: plans rounds under the budget that is asked for.
        generation: has the rollouts of a recipe that is dropped.
        clock: stands still while the study is paused.

    Attributes:
        paused: whether the study waits.
        stopping: whether it is to end.
    """

    def __init__(
        self, store: Store, planner: RoundPlanner, generation: Generation, clock: Clock
    ) -> None:
        self._store = store
        self._planner = planner
        self._generation = generation
        self._clock = clock
        self.paused = False
        self.stopping = False

    def handle(self) -> bool:
        """Do what is asked, each request in one transaction; whether the budget is another."""
        new_budget = False
        for request in self._store.open_requests():
            try:
                with self._store.transaction():  # a kill leaves neither half of it
                    self._do(request)
                    self._store.handled(request)
            except (BoundError, ValueError, KeyError, TypeError) as error:
                # One that cannot be done must not come back at every start.
                self._store.handled(request)
                said = " ".join(str(error).split())[:200]
                self._store.log(f"not done, {request.kind}: {said}", "warning")
                continue
            labels = {recipe.key: recipe.label for recipe in self._store.recipes()}
            self._store.log(request.in_words(labels))
            new_budget |= request.kind == "budget"
        return new_budget

    def _do(self, request: StoredRequest) -> None:
        if request.kind == "pause" and not self.paused:
            self.paused = True
            self._clock.pause()
            keep(self._store, state=StudyState.PAUSED)
        elif request.kind == "resume" and self.paused:
            self.paused = False
            self._clock.resume()
            keep(self._store, state=StudyState.RUNNING)
        elif request.kind == "stop":
            self.stopping = True
        elif request.kind == "budget":
            budget = Budget.model_validate(request.data["budget"])
            self._planner.preset = self._planner.preset.model_copy(update={"budget": budget})
            keep(self._store, budget=budget)
        elif request.kind == "extend":
            keep(self._store, until=Until.model_validate(request.data["until"]))
            self._planner.preset = Facts.of(self._store).preset
        elif request.kind == "add":
            require_recipes(len(self._store.recipes()))
            self._store.recipe_index(Recipe.model_validate(request.data["recipe"]), added_by="user")
        elif request.kind == "more":
            more = Facts.of(self._store).more
            key = request.data["recipe"]
            require_samples(more.get(key, 0) + int(request.data["samples"]), "more samples")
            keep(self._store, more={**more, key: more.get(key, 0) + int(request.data["samples"])})
        elif request.kind == "drop":
            self._drop(request.data["recipe"])

    def _drop(self, key: str) -> None:
        for index, recipe in enumerate(self._store.recipes()):
            if recipe.key == key:
                self._store.drop_recipe(recipe)
                self._generation.cancel({index})
        self._planner.reload()
