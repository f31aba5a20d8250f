"""The answers of a study: its table, its recommendation, its rollouts and its comparisons."""

from collections.abc import Iterator, Sequence

from mi_tui.analysis.ablation.comparison import Comparison, compare, find_reference
from mi_tui.analysis.ablation.result import AblationResult, ablation_result
from mi_tui.analysis.ablation.rows import AblationKind, Part
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.search.layer_groups import GroupResult, group_result
from mi_tui.analysis.search.two_knobs import KnobResult, knob_result
from mi_tui.analysis.statistics.flips import Flips
from mi_tui.api.rollouts import Rollout, read_rollouts
from mi_tui.api.table import Table
from mi_tui.plan.budget import Budget, parse_budget, require_probes
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.probes.problem import Problem
from mi_tui.study.ablation_preset import from_study
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyError


class StudyAnswers(StudyReader):
    """The part of a study that only reads what is stored; nothing is generated."""

    @property
    def name(self) -> str:
        """The name: that of the directory."""
        return self.folder.name

    def table(self) -> Table:
        """A row for each recipe, from its complete rounds.

        What was measured of a round that is not complete is left out: the short responses come
        first, and would mislead.
        """
        view = self.view()
        return Table(view.measured, f"{view.preset.title} · {self.name}")

    def recommend(self, budget: Budget | str | None = None) -> Recommendation:
        """The λ for a budget, from what is stored; nothing is generated.

        Args:
            budget: a budget, or its short form, such as ``"tokens<=2000"``, ``"score>=95%"`` (of
                Thinking), ``"knee"`` or ``"tokens<=2000 and score[aime25]>=0.6"``; by default the
                study's own. A short form is about
                what the study is about: new problems, or these.

        Raises:
            BudgetError: the text is no budget, or names a probe that the study has not.
            StudyError: there is no complete round yet.
            DecisionError: the budget is in seconds and no speed is known.
        """
        return super().recommend(self._question(budget))

    def _question(self, budget: Budget | str | None) -> Budget | None:
        """A budget from its short form, about what the study is about."""
        if isinstance(budget, str):
            budget = parse_budget(budget, about=self.preset.budget.about)
        if budget is not None:
            require_probes(budget, self.preset.probe_names)
        return budget

    def rollouts(self, recipe: Recipe | str | float | None = None) -> Iterator[Rollout]:
        """Every stored rollout with its texts, in the order of arrival, a few in memory at once.

        Those of rounds that are not complete are among them.

        Args:
            recipe: only those of this recipe, label or λ.

        Raises:
            TableError: no row of the table has this label or λ.
        """
        if recipe is not None and not isinstance(recipe, Recipe):
            recipe = self.table()[recipe].recipe
        return read_rollouts(self.store, recipe)

    def problems(self) -> tuple[Problem, ...]:
        """The problems of all probes, in the order of their indices; none before the start."""
        return tuple(problem for probe in self.store.probes() for problem in probe.problems)

    def log(self) -> list[tuple[float, str, str]]:
        """What the worker noted, oldest first: (Unix time, level, message)."""
        return self.store.log_lines()

    def flips(self, recipe: Recipe | str | float | None = None) -> Flips:
        """The problems that a row solves and λ = 0 or λ = 1 does not, or the other way round.

        Args:
            recipe: a recipe, or the label or λ of a row; by default the recommended λ, or the
                nearest row.

        Raises:
            TableError: no row of the table has this label or λ.
            StudyError: nothing is recommended, and no row named.
            FlipError: λ = 0 and λ = 1 were not measured.
        """
        if recipe is not None and not isinstance(recipe, Recipe):
            recipe = self.table()[recipe].recipe
        return super().flips(recipe)

    def comparison(self, against: str | None = None) -> Comparison:
        """Every row's differences from one, over the problems that both answered.

        Args:
            against: the label of the row to compare with; by default the full interpolation.

        Raises:
            ComparisonError: no row has that label, or there are no rollouts.
        """
        observations = self.observations()
        preset = self.preset
        reference = find_reference(observations, preset, against)
        return compare(observations, reference, about=preset.budget.about)

    def ablation_result(self, against: str | None = None) -> AblationResult:
        """What an ablation shows: the comparison, its grids, and the layer groups.

        Raises:
            ComparisonError: no row has the label ``against``, or there are no rollouts.
        """
        return ablation_result(self.observations(), self.preset, self.latency(), against)

    def layer_groups(self) -> GroupResult | None:
        """What came of a λ per layer group; ``None`` where the preset asks for none."""
        preset = self.preset
        if not preset.search.layer_groups:
            return None
        return group_result(self.observations(), preset, self.latency())

    def two_knobs(self) -> KnobResult | None:
        """What came of two knobs, their surface included; ``None`` where none are asked for."""
        preset = self.preset
        if not preset.search.two_knobs:
            return None
        return knob_result(self.observations(), preset, self.latency())

    def ablation(
        self,
        kind: AblationKind | str,
        *,
        lambda_: float | None = None,
        layers: Sequence[Part] = (),
        quick: bool = False,
        budget: Budget | None = None,
    ) -> Preset:
        """The preset of an ablation at the recommended λ; ``Study.create`` makes a study of it.

        Args:
            kind: ``layers``, ``modules``, ``layers-modules``, ``decoding``, ``baselines``,
                ``layer-groups`` or ``two-knobs``.
            lambda_: instead of the recommended one.
            layers: the parts or groups of layers, instead of even ones.
            quick: fewer problems and samples, for a first look.
            budget: the question it shall answer, instead of the study's.

        Raises:
            StudyError: there is no recommendation, or the kind does not fit.
            CheckpointError: the Thinking checkpoint cannot be read.
        """
        if str(kind) not in list(AblationKind):
            raise StudyError(f"no ablation {str(kind)!r}: write one of {', '.join(AblationKind)}")
        found = from_study(self.view(), kind, lambda_=lambda_, layers=layers, quick=quick)
        return found if budget is None else found.model_copy(update={"budget": budget})
