"""The planner of rounds: what the search asks next, kept in the store.

Round r + 1 is planned from the complete rounds up to r − 1 while round r is generated. What is
planned thus depends on what is stored and never on timing, so that a worker that was killed goes
on exactly as one that was not.
"""

from dataclasses import dataclass

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.search.layer_groups import next_group_batch
from mi_tui.analysis.search.policy import Batch, PlannedRollout, Spent, Stop, next_batch
from mi_tui.analysis.search.two_knobs import next_knob_batch, uniform_part
from mi_tui.plan.preset import Preset
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.records import PlannedAsk
from mi_tui.study.storage.store import Store


@dataclass(frozen=True, slots=True)
class Finished:
    """The search has nothing more to ask. ``settled``: the recommendation is certain enough."""

    reason: str
    settled: bool


class RoundPlanner:
    """Plans rounds and remembers what of them is still open.

    Args:
        store: the study's store.
        preset: what the study was asked to do, with the budget as it is now.
        size: about how many rollouts a round should have to keep the engine busy.
        latency: the speed of the merged model, for budgets in seconds.
    """

    def __init__(
        self, store: Store, preset: Preset, size: int, latency: Latency | None = None
    ) -> None:
        self._store = store
        self._preset = preset
        self._latency = latency
        self._size = size
        self._loader = ObservationLoader(store)
        self._open = {self._key(ask): ask for ask in store.open_asks()}
        self._latest = store.last_round()
        self.phase = "planning"
        self.planned = 0

    @property
    def preset(self) -> Preset:
        """The preset in force."""
        return self._preset

    @preset.setter
    def preset(self, preset: Preset) -> None:
        self._preset = preset

    @property
    def open_asks(self) -> list[PlannedAsk]:
        """What is planned and not stored, oldest round first."""
        return list(self._open.values())

    def store_done(self, asks: list[PlannedAsk]) -> None:
        """Note that these are stored."""
        for ask in asks:
            self._open.pop(self._key(ask), None)

    def reload(self) -> None:
        """Read the open asks anew, after some were taken back."""
        self._open = {self._key(ask): ask for ask in self._store.open_asks()}

    def observations(self) -> Observations:
        """What complete rounds have measured."""
        return self._loader.load_complete()[0]

    def pack(self) -> None:
        """Pack what was loaded, for those who open the study later."""
        self._loader.pack()

    def plan(self) -> list[PlannedAsk] | Finished:
        """Plan the next round; an empty list means: first finish what is open.

        The caller asks when the engine is about to run dry.
        """
        if any(ask.round < self._latest for ask in self._open.values()):
            return []  # two rounds are open already
        # Also where the latest round is complete: a worker that was killed finds both of the last
        # rounds stored, and must plan what one that was not had planned between the two.
        step = self._next(self._latest - 1)
        if isinstance(step, Stop) or not step.rollouts:
            if self._open:
                return []
            step = self._next(self._latest)
        if isinstance(step, Stop) or not step.rollouts:
            return Finished(
                step.reason if isinstance(step, Stop) else "nothing more to ask",
                isinstance(step, Stop) and step.settled,
            )
        self.phase, self.planned = step.phase, step.planned
        return self._keep(step)

    def _next(self, up_to_round: int) -> Batch | Stop:
        found = self._loader.load(up_to_round)
        recipes = self._store.recipes()
        open_ones = (
            PlannedRollout(recipes[ask.recipe], ask.problem, ask.sample)
            for ask in self._open.values()
            if ask.round > up_to_round
        )
        # In one order, whichever part of the later round happens to be stored.
        in_flight = tuple(
            sorted(
                (*open_ones, *self._stored_after(up_to_round)),
                key=lambda one: (recipes.index(one.recipe), one.problem, one.sample),
            )
        )
        facts = Facts.of(self._store)
        spent = Spent(len(found), int(found.tokens.sum()), facts.elapsed)
        dropped = self._store.dropped_recipes()
        step = next_batch(
            found,
            uniform_part(self._preset),
            spent=spent,
            in_flight=in_flight,
            size=self._size,
            added=self._store.recipes_of_user(),
            dropped=dropped,
            more=facts.more,
            latency=self._latency,
            to_the_limit=facts.until is not None and facts.until.amount is not None,
        )
        if not isinstance(step, Stop) or not self._preset.search.beside_uniform:
            return step
        if self._preset.search.two_knobs:
            return next_knob_batch(
                found,
                self._preset,
                spent=spent,
                in_flight=in_flight,
                size=self._size,
                latency=self._latency,
                uniform=step,
                dropped=dropped,
            )
        return next_group_batch(
            found,
            self._preset,
            spent=spent,
            in_flight=in_flight,
            latency=self._latency,
            uniform=step,
            dropped=dropped,
        )

    def _stored_after(self, up_to_round: int) -> tuple[PlannedRollout, ...]:
        """The part of the later round that happens to be stored: in flight for the planning."""
        later = self._loader.load_after(up_to_round)
        return tuple(
            PlannedRollout(later.recipes[r], int(p), int(s))
            for r, p, s in zip(later.recipe, later.problem, later.sample, strict=True)
        )

    def _keep(self, batch: Batch) -> list[PlannedAsk]:
        rows = [
            (self._store.recipe_index(ask.recipe), ask.problem, ask.sample)
            for ask in batch.rollouts
        ]
        number = self._store.plan_round(rows)
        fresh = [PlannedAsk(*row, number) for row in rows]
        self._open.update((self._key(ask), ask) for ask in fresh)
        self._latest = number
        return fresh

    @staticmethod
    def _key(ask: PlannedAsk) -> tuple[int, int, int]:
        return ask.recipe, ask.problem, ask.sample
