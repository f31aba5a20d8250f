"""The reader of a study: its view, its responses, and answers to new budgets."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.recommendation.verdict import curves_of
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.analysis.statistics.flips import FlipError, Flips, find_flips
from mi_tui.analysis.statistics.groups import GroupResults, group_results
from mi_tui.analysis.statistics.length_histogram import LengthHistogram, length_histogram
from mi_tui.plan.budget import About, Budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.probes.thinking import parts_of
from mi_tui.study.control import state_of
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts, stored_state
from mi_tui.study.storage.folder import StudyFolder, find_study
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.store import Store
from mi_tui.study.summaries import Summaries
from mi_tui.study.view import Breakdown, Progress, StudyState, StudyView

_GONE = "the worker is gone; start the study again and it goes on where it was"


class StudyReader:
    """A read-only look at one study; for use by one thread at a time.

    Args:
        reference: the study's path or name.

    Attributes:
        folder: the files of the study.
        store: its database.

    Raises:
        StudyError: there is no such study, or it cannot be read.
    """

    def __init__(self, reference: Path | str) -> None:
        self.folder: StudyFolder = find_study(reference)
        self.store = Store(self.folder.database, reading=True)
        self._loader = ObservationLoader(self.store)
        self._seen = -1
        self._change = 0
        self._shown: StudyState | None = None
        self._summaries = Summaries()
        self._curves: dict[About, Curves] = {}
        self._fitted_to = (0, 0)

    def close(self) -> None:
        """Close the connection."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state(self) -> StudyState:
        """Where the study stands now."""
        return state_of(self.folder, stored_state(self.store))

    @property
    def preset(self) -> Preset:
        """The preset, with the budget as it was last set."""
        return Facts.of(self.store).preset

    @property
    def progress(self) -> Progress:
        """How far the worker is."""
        return _counted(Facts.of(self.store).progress, self.store.totals()[0])

    def changed(self) -> bool:
        """Whether :meth:`view` would show something new since it was last called."""
        self.store.require_there()
        return self.store.data_version() != self._seen or self.state != self._shown

    def view(self) -> StudyView:
        """The picture of the study as it is now."""
        self.store.require_there()
        version = self.store.data_version()
        state = self.state
        if (version, state) != (self._seen, self._shown):
            self._seen, self._shown, self._change = version, state, self._change + 1
        facts = Facts.of(self.store)
        complete, begun = self._loader.load_complete()
        return StudyView(
            path=self.folder.path,
            name=self.folder.name,
            preset=facts.preset,
            state=state,
            message=(facts.death or _GONE) if state is StudyState.INTERRUPTED else facts.message,
            progress=_counted(facts.progress, len(complete) + len(begun)),
            rows=self._summaries.of(complete, begun, facts.latency, facts.preset.budget.about),
            recommendation=facts.recommendation,
            engine_note=facts.engine_note,
            change=self._change,
        )

    def observations(self) -> Observations:
        """The rollouts of complete rounds as columns."""
        return self._loader.load_complete()[0]

    def recommend(self, budget: Budget | None = None) -> Recommendation:
        """The answer to a budget (default: the study's) from complete rounds; nothing is generated.

        Raises:
            MiTuiError: too little is stored to say anything, or the budget cannot be answered.
        """
        facts = Facts.of(self.store)
        preset = facts.preset
        observations, begun = self._loader.load_complete()
        if not len(observations) + len(begun):
            raise StudyError(f"{self.folder.name} has no rollouts yet: run it first")
        waits = self.store.in_first_round() and self.state.is_active
        if waits or not len(observations):
            raise StudyError(f"{self.folder.name} has no complete round yet: let it go on")
        asked = budget or preset.budget
        return recommend(
            observations,
            asked,
            curves=self._fitted(observations, preset.search.seed, asked.about),
            latency=facts.latency,
            seed=preset.search.seed,
            tolerance=preset.search.tolerance,
            dtype=facts.confirmation_dtype,
        )

    def _fitted(self, observations: Observations, seed: int, about: About) -> Curves:
        """The curves, fitted anew only when there are new rollouts: budgets share them."""
        fitted = (len(observations), seed)
        if self._fitted_to != fitted:
            self._curves, self._fitted_to = {}, fitted
        if about not in self._curves:
            self._curves[about] = curves_of(observations, seed=seed, about=about)
        return self._curves[about]

    def groups(self, *, strata: bool = True) -> tuple[GroupResults, ...]:
        """The results table of each probe, and of each of its strata where it has several."""
        facts = Facts.of(self.store)
        about = facts.preset.budget.about
        return group_results(self.observations(), facts.latency, strata=strata, about=about)

    def flips(self, recipe: Recipe | None = None) -> Flips:
        """The problems that a recipe solves and the two ends do not, or the other way round.

        Args:
            recipe: by default the recommended one, or the nearest λ that was measured.

        Raises:
            StudyError: nothing is recommended, and no recipe named.
            FlipError: the recipe, or λ = 0 and λ = 1, was not measured.
        """
        facts = Facts.of(self.store)
        answer = facts.recommendation
        if recipe is None and answer is not None and answer.recommended:
            recipe = answer.recipe
        if recipe is None:
            raise StudyError(f"{self.folder.name} recommends nothing: name a row of its table")
        ends = (facts.preset.recipe(0.0), facts.preset.recipe(1.0))
        return find_flips(self.observations(), recipe, ends)

    def flips_between(self, first: Recipe, second: Recipe) -> Flips:
        """The problems that one of two recipes solves and the other does not.

        Raises:
            FlipError: one of them was not measured.
        """
        return find_flips(self.observations(), second, (first,))

    def length_histogram(self, bins: int) -> LengthHistogram:
        """The lengths of every recipe's responses in so many bins."""
        return length_histogram(self.observations(), bins)

    def breakdown(self, answer: Recommendation | None) -> Breakdown:
        """The results by group, and the flips of a recommended recipe where there are any."""
        flips = None
        if answer is not None and answer.recommended:
            with contextlib.suppress(FlipError):
                flips = StudyReader.flips(self, answer.recipe)
        return Breakdown(self.groups(), flips)

    def responses(
        self, recipe_key: str | None = None, problem: int | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """The latest rollouts with their texts, newest first; ``problem`` is an index.

        A recipe is named by ``recipe_key`` and ``recipe_label``: one that was only asked held-out
        problems has no row in the table. ``parts`` has the thinking and the answer apart.
        """
        recipes = self.store.recipes()
        keys = [recipe.key for recipe in recipes]
        if recipe_key is not None and recipe_key not in keys:
            return []
        recipe = None if recipe_key is None else keys.index(recipe_key)
        found = self.store.responses(recipe=recipe, problem=problem, limit=limit)
        tags = Facts.of(self.store).thinking_tags
        for row in found:
            row["parts"] = parts_of(row["text"], bool(row["truncated"]), tags)
            index = row["recipe"]
            row["recipe_key"], row["recipe_label"] = keys[index], recipes[index].label
        return found

    def examples(self) -> dict[str, str]:
        """The first prompt of each probe, as the model sees it."""
        return self.store.examples()

    def latency(self) -> Latency | None:
        """What was measured of the merged model's speed."""
        return Facts.of(self.store).latency


def _counted(progress: Progress, stored: int) -> Progress:
    """The worker's last report, with what was stored since."""
    rollouts = max(progress.rollouts, stored)
    return replace(progress, rollouts=rollouts, planned=max(progress.planned, rollouts))
