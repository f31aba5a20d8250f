"""A program behind the screens that a test can steer: it remembers what it was asked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from mi_tui.analysis.ablation.result import AblationResult
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.statistics.flips import Flips
from mi_tui.analysis.statistics.length_histogram import LengthHistogram
from mi_tui.api.comparison import ComparedStudy, StudiesComparison
from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.checkpoints.network import Network
from mi_tui.checkpoints.relative_gap import Gap
from mi_tui.engines.choice import EngineChoice
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import Budget
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.library import PresetEntry
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.until import Until
from mi_tui.study.known_speeds import KnownSpeed
from mi_tui.study.storage.records import RequestKind
from mi_tui.study.view import Breakdown, StudyEntry, StudyPreview, StudyView
from mi_tui.tui.studies.reader import Reader
from mi_tui.tui.studies.responses import ProblemText
from mi_tui.tui.studies.services import Services
from tests.tui import views

FITS = (
    Finding("ok", "architecture", "both Qwen3ForCausalLM, 4 layers"),
    Finding("warning", "chat template", "differs: Thinking's is taken"),
)


class HeldReader:
    """Reads a view that the test replaces."""

    def __init__(self, services: "SteeredServices") -> None:
        self._services = services
        self._seen: StudyView | None = None

    def changed(self) -> bool:
        return self._services.view is not self._seen

    def view(self) -> StudyView:
        if self._services.read_error is not None:
            raise self._services.read_error
        self._seen = self._services.view
        return self._services.view

    def recommend(self, budget: Budget) -> Recommendation:
        self._services.asked.append(("recommend", budget.spec))
        return views.recommendation(budget)

    def responses(
        self, recipe_key: str | None = None, problem: int | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        return [
            row
            for row in self._services.stored
            if recipe_key in (None, row["recipe_key"]) and problem in (None, row["problem"])
        ][:limit]

    def breakdown(self, answer: Recommendation | None) -> Breakdown:
        return self._services.breakdown

    def flips_between(self, first: Recipe, second: Recipe) -> Flips:
        raise NotImplementedError("tests of flips have a study of their own")

    def length_histogram(self, bins: int) -> LengthHistogram:
        return LengthHistogram((), ())

    def ablation_result(self) -> AblationResult:
        return views.ablation_result()

    def close(self) -> None:
        self._services.asked.append(("close", None))


class SteeredServices(Services):
    """Studies exist only here."""

    def __init__(self, view: StudyView | None = None, entries: tuple[StudyEntry, ...] = ()) -> None:
        super().__init__()
        self.view = view or views.view()
        self.entries = entries
        self.preflight_lines: tuple[Finding, ...] = FITS
        self.asked: list[tuple[str, Any]] = []
        self.read_error: MiTuiError | None = None
        self.export_error: MiTuiError | None = None
        self.start_error: MiTuiError | None = None
        self.stored: list[dict[str, Any]] = views.stored_responses()
        self.breakdown = views.breakdown()
        self.example_prompt = "Compute 8+9-4 mod 100"
        self.example_error: MiTuiError | None = None
        self.may_show = Event()
        self.may_show.set()
        self.preset_entries: tuple[PresetEntry, ...] = ()
        self.speed: KnownSpeed | None = None
        self.gap_error: MiTuiError | None = None
        self.may_measure = Event()
        self.may_measure.set()
        self.choice: EngineChoice | None = None

    @property
    def last(self) -> tuple[str, Any]:
        return self.asked[-1]

    def presets(self) -> tuple[PresetEntry, ...]:
        return self.preset_entries

    def demo_preset(self) -> Preset:
        return views.preset()

    def studies(self) -> tuple[StudyEntry, ...]:
        return self.entries

    def reader(self, path: Path) -> Reader:
        self.asked.append(("open", path))
        return HeldReader(self)

    def problems(self, path: Path) -> tuple[ProblemText, ...]:
        return views.PROBLEMS

    def create_and_start(self, preset: Preset, name: str = "") -> Path:
        if self.start_error is not None:
            raise self.start_error
        self.asked.append(("start", preset))
        if name:
            self.asked.append(("named", name))
        return self.view.path

    def rename(self, path: Path, name: str) -> Path:
        self.asked.append(("rename", (path, name)))
        return path.with_name(name)

    def preview(self, path: Path) -> StudyPreview:
        return StudyPreview(views.preset(), views.recommendation())

    def annotate(self, path: Path, text: str) -> None:
        self.asked.append(("note", (path, text)))

    def delete(self, path: Path) -> None:
        self.asked.append(("delete", path))

    def preset_of(self, path: Path) -> Preset:
        return views.preset()

    def compare(self, paths: Sequence[Path]) -> StudiesComparison:
        view = views.view(answer=views.recommendation())
        return StudiesComparison(
            tuple(
                ComparedStudy(
                    path.name, path, view.preset, view.state, view.measured, view.recommendation
                )
                for path in paths
            )
        )

    def request(self, path: Path, kind: RequestKind, **data: Any) -> None:
        self.asked.append((kind, data))

    def go_on(self, path: Path) -> None:
        self.asked.append(("go on", path))

    def extend(self, path: Path, until: Until, budget: Budget | None) -> None:
        self.asked.append(("extend", (path, until, budget)))

    def preflight(
        self,
        pair: Pair,
        engine: EnginePlan | None = None,
        *,
        cap: int | None = None,
        loading: bool = False,
    ) -> tuple[Finding, ...]:
        return self.preflight_lines

    def engine_choice(self, preset: Preset) -> EngineChoice | None:
        self.asked.append(("engine choice", preset.engine.kind))
        return self.choice

    def machine(self) -> str:
        return "box · 2 cores · 8 GiB memory · no GPU · 40 GiB of disk free"

    def network(self, pair: Pair) -> Network:
        return views.network()

    def measure_gap(
        self, pair: Pair, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> Gap:
        progress(1, 4)
        while not self.may_measure.wait(0.02):
            if cancelled():
                self.asked.append(("gap cancelled", pair))
                raise MiTuiError("cancelled")
        if self.gap_error is not None:
            raise self.gap_error
        gap = views.gap()
        self._gaps[pair.instruct, pair.thinking] = gap
        return gap

    def known_speed(self, pair: Pair) -> KnownSpeed | None:
        return self.speed

    def example(self, pair: Pair, probe: AnyProbe) -> str:
        self.may_show.wait(20)
        if self.example_error is not None:
            raise self.example_error
        return f"{probe.kind}: 64 problems\n<|im_start|>user\n{self.example_prompt}"

    def write_text(self, path: Path, text: str) -> Path:
        self.asked.append(("write", path))
        return path

    def export(
        self,
        study: Path,
        out: Path,
        name: str,
        answer: Recommendation,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        *,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        if self.export_error is not None:
            raise self.export_error
        self.asked.append(("export", name))
        return (out / f"file.{name}",)
