"""The Recommend screen: the limit moves the answer, copies, a cancelled export, ablations."""

import os
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Input

from mi_tui.analysis.results import Curve, Recommendation
from mi_tui.errors import MiTuiError
from mi_tui.export.errors import ExportConflictError
from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.until import Until, parse_until
from mi_tui.present.budget_limits import limits_of, moved
from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.screens.steps.recommend import RecommendScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from mi_tui.tui.studies.export import copies
from mi_tui.tui.studies.reader import Reader
from mi_tui.tui.studies.services import Services
from tests.tui import views
from tests.tui.driving import said, shown, until
from tests.tui.services import HeldReader, SteeredServices

CURVE = Curve(
    lambdas=(0.0, 0.5, 1.0),
    score=tuple(views.around(value, 0.05) for value in (0.3, 0.6, 0.9)),
    tokens=tuple(views.around(value, 2.0) for value in (10.0, 30.0, 120.0)),
    think_ratio=tuple(views.around(value, 0.05) for value in (0.0, 0.5, 1.0)),
)


def answer(spec: str = "tokens<=80", **changes: object) -> Recommendation:
    return views.recommendation(parse_budget(spec), curve=CURVE, **changes)


class CurveReader(HeldReader):
    """Answers with a curve."""

    def recommend(self, budget: Budget) -> Recommendation:
        found = super().recommend(budget)
        return found.model_copy(update={"curve": CURVE, "budget": budget})


class Answering(SteeredServices):
    """Answers with a curve, and can be held up while it exports."""

    def __init__(self, spec: str = "tokens<=80") -> None:
        super().__init__(views.view(StudyState.DONE, answer=answer(spec)))
        self.in_export = Event()
        self.ablations: list[tuple[str, float, str]] = []
        self.held = ""

    def reader(self, path: Path) -> Reader:
        self.asked.append(("open", path))
        return CurveReader(self)

    def export(self, *args: Any, **options: Any) -> tuple[Path, ...]:
        name, cancelled = args[2], args[-1]
        if self.held and not options["overwrite"]:
            raise ExportConflictError("the folder holds another", self.held)
        if name != "checkpoint":
            return super().export(*args, **options)
        self.in_export.set()
        while not cancelled():
            args[4](1, 4)
            Event().wait(0.01)
        raise MiTuiError("writing was cancelled; nothing was left behind")

    def copied_text(self, study: Path, out: Path, name: str, answer: Recommendation) -> str:
        return f"{name} of {answer.recipe.label} in {out.name}\n"

    def write_text(self, path: Path, text: str) -> Path:
        return Services.write_text(self, path, text)

    def ablation(self, study: Path, kind: str, lambda_: float, budget: Budget) -> Preset:
        if kind == "baselines":
            raise MiTuiError("the baselines need a base model")
        self.ablations.append((kind, lambda_, budget.spec))
        return views.preset().model_copy(update={"title": f"Demo · {kind}"})


def watching(services: SteeredServices) -> MiTuiApp:
    return MiTuiApp(start="watch", study=services.view.path, services=services)


async def opened(pilot: Pilot[Any]) -> RecommendScreen:
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: "λ = 0.7" in shown(app))
    assert isinstance(app.screen, RecommendScreen)
    return app.screen


def asked(services: SteeredServices) -> list[str]:
    return [str(what) for kind, what in services.asked if kind == "recommend"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_arrows_move_the_limit_and_the_answer_follows(size: tuple[int, int]) -> None:
    services = Answering()
    async with watching(services).run_test(size=size) as pilot:
        await opened(pilot)
        assert "Limit ◂" in shown(pilot.app)
        await pilot.press("left")
        await until(pilot, lambda: len(asked(services)) == 1)
        tighter = parse_budget(asked(services)[0])
        assert tighter.objective == "score-within-tokens"
        assert tighter.limit is not None
        assert 60 < tighter.limit < 80
        await until(pilot, lambda: tighter.spec in said(pilot.app, "measures"))
        await pilot.press("l", "l")
        await until(pilot, lambda: asked(services)[-1:] != [tighter.spec])
        await until(pilot, lambda: asked(services)[-1] in said(pilot.app, "measures"))
        wider = parse_budget(asked(services)[-1]).limit
        assert wider is not None
        assert wider > tighter.limit


async def test_the_knee_has_no_limit_to_move() -> None:
    services = Answering(spec="knee")
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("left", "right")
        await pilot.pause()
        assert asked(services) == []
        assert "the knee" in shown(pilot.app)


async def test_the_studys_confidence_is_kept_for_other_limits() -> None:
    services = Answering()
    budget = views.preset().budget.model_copy(update={"confidence": 0.75})
    preset = views.preset().model_copy(update={"budget": budget})
    shown_answer = answer().model_copy(update={"budget": budget})
    services.view = views.newer(services.view, preset=preset, recommendation=shown_answer)
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("right")
        await until(pilot, lambda: "85" in said(pilot.app, "measures"))
        assert "75 % wanted" in said(pilot.app, "measures")
        await pilot.press("b", "end", "0")
        await until(pilot, lambda: "850" in said(pilot.app, "measures"))
        assert "75 % wanted" in said(pilot.app, "measures")


@pytest.mark.parametrize("what", copies())
async def test_what_is_copied_is_also_a_file(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Answering()
    copied: list[str] = []
    async with watching(services).run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        screen.query_one("#out", Input).value = str(tmp_path / "new")
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await pilot.press("c", *["down"] * list(copies()).index(what), "enter")
        await until(pilot, lambda: "also in" in said(pilot.app, "status"))
        path = tmp_path / "new" / copies()[what].file_name
        assert str(path) in said(pilot.app, "written"), "a long path is folded, not cut"
    assert copied == [path.read_text()]
    expected = {
        "answer": "λ = 0.70 gives 88 %",
        "lambda": "0.7",
        "preset": "preset of MI-0.7 in new",
        "serve": "serve of MI-0.7 in new",
        "serve-checkpoint": "serve-checkpoint of MI-0.7 in new",
    }
    assert expected[what] in copied[0]


async def test_the_serve_command_is_shown_with_the_efforts_and_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    async with watching(Answering()).run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        screen.query_one("#out", Input).value = str(tmp_path / "new")
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await pilot.press("s")
        await until(pilot, lambda: "serve of MI-0.7 in new" in shown(pilot.app))
        drawn = shown(pilot.app)
        assert "low" in drawn
        assert "none, minimal" in drawn
        assert "0.900 (0.850–0.950)" in drawn, "high has the best measured score"
        await pilot.press("c")
        await until(pilot, lambda: "Copied the serve command" in said(pilot.app, "status"))
    assert copied == ["serve of MI-0.7 in new\n"]
    assert (tmp_path / "new" / "copied-serve.txt").read_text() == copied[0]


async def test_where_nothing_is_recommended_nothing_is_served() -> None:
    services = Answering()
    services.view = replace(services.view, recommendation=answer(recommended=False))
    async with watching(services).run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecommendScreen))
        await until(pilot, lambda: "Enter exports" in said(pilot.app, "status"))
        await pilot.press("s")
        await until(pilot, lambda: "no λ to serve" in said(pilot.app, "status"))
        assert isinstance(pilot.app.screen, RecommendScreen)


async def test_a_copy_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with watching(Answering()).run_test(size=(120, 40), notifications=True) as pilot:
        screen = await opened(pilot)
        screen.query_one("#out", Input).value = str(tmp_path / "file" / "x")
        await pilot.press("c", "enter")
        await until(pilot, lambda: "cannot write" in shown(pilot.app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_an_invalid_budget_exports_nothing_and_keeps_the_focus(size: tuple[int, int]) -> None:
    services = Answering()
    async with watching(services).run_test(size=size) as pilot:
        screen = await opened(pilot)
        await pilot.press("b", *"tokens<=8O", "enter")
        await until(pilot, lambda: "Correct the budget" in said(pilot.app, "status"))
        field = screen.query_one("#budget", Input)
        assert screen.focused is field
        await pilot.press("end", *" and", "enter")
        assert field.value == "tokens<=8O and", "what corrects it is typed, no hotkey"
        assert "λ = 0.7" in shown(pilot.app), "the answer stays in sight while one types"
        await pilot.press("escape", "enter")
        assert screen.focused is field
        assert isinstance(pilot.app.screen, RecommendScreen)
        assert not [what for kind, what in services.asked if kind == "export"]
        field.value = "tokens<=40"
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Exported" in said(pilot.app, "status"))
    assert asked(services)[-1] == "tokens<=40"


async def test_the_answer_to_the_budget_typed_last_is_exported() -> None:
    services = Answering()
    exported: list[str] = []
    export = services.export

    def noted(*args: Any, **options: Any) -> tuple[Path, ...]:
        exported.append(args[3].budget.spec)
        return export(*args, **options)

    services.export = noted  # type: ignore[method-assign]
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("b", *"tokens<=40", "enter", "enter")
        await until(pilot, lambda: "Exported" in said(pilot.app, "status"))
    assert set(exported) == {"tokens<=40"}


async def test_an_export_needs_a_folder() -> None:
    services = Answering()
    async with watching(services).run_test() as pilot:
        screen = await opened(pilot)
        screen.query_one("#out", Input).value = " "
        await pilot.press("enter")
        await until(pilot, lambda: "name a folder" in shown(pilot.app))
    assert not [what for kind, what in services.asked if kind == "export"]


@pytest.mark.parametrize(("key", "written"), [("n", []), ("y", ["preset", "json"])])
async def test_another_export_in_the_folder_is_replaced_only_after_a_yes(
    key: str, written: list[str]
) -> None:
    services = Answering()
    services.held = "the export of MI-0.5 (demo)"
    async with watching(services).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "holds the export of MI-0.5" in shown(pilot.app))
        await pilot.press(key)
        said_then = "Exported 9 files" if written else "Nothing was exported"
        await until(pilot, lambda: said_then in said(pilot.app, "status"))
    exported = [what for kind, what in services.asked if kind == "export"]
    assert exported[:2] == written


async def test_escape_cancels_an_export_before_it_goes_back() -> None:
    services = Answering()
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("x", "left", "space", "escape", "enter")
        await until(pilot, services.in_export.is_set)
        await until(pilot, lambda: "25 % · esc cancels" in said(pilot.app, "status"))
        await pilot.press("enter")
        await pilot.press("escape")
        await until(pilot, lambda: "was cancelled" in said(pilot.app, "status"))
        assert isinstance(pilot.app.screen, RecommendScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ProbeScreen))


async def test_an_ablation_opens_the_scope_with_its_rows() -> None:
    services = Answering()
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("a", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ScopeScreen))
        assert isinstance(pilot.app.screen, ScopeScreen)
        assert pilot.app.screen.draft.title == "Demo · modules"
        assert services.ablations == [("modules", 0.7, "tokens<=80")]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecommendScreen))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_step_5_of_an_ablation_is_the_paired_table_and_the_heat_map(
    size: tuple[int, int],
) -> None:
    services = Answering()
    services.view = replace(
        views.view(StudyState.DONE, answer=answer(), table=views.ablation_rows()),
        preset=views.ablation_preset(),
    )
    async with watching(services).run_test(size=size) as pilot:
        app = pilot.app
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.7" in shown(app))
        for name in ("layers 0–11", "layers 12–23", "layers 24–35"):
            assert name in shown(app), "what differs comes first, and is not cut"
        await pilot.press("enter")
        await until(pilot, lambda: "-10.0 ±" in shown(app))
        for part in ("Difference", "lower", "×0.50"):
            assert part in shown(app)
        await pilot.press(*"jjjj")
        assert "layers by modules" in shown(app)


async def test_an_ablation_that_cannot_be_is_one_line() -> None:
    async with watching(Answering()).run_test(notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("a", *["down"] * 4, "enter")
        await until(pilot, lambda: "the baselines need a base model" in shown(pilot.app))


SPECS = ["tokens<=80", "p95 tokens<=80", "seconds<=0.3", "score>=0.8", "score>=95%"]


@pytest.mark.parametrize("spec", SPECS)
def test_limits_rise_and_make_budgets(spec: str) -> None:
    limits = limits_of(answer(spec))
    assert list(limits) == sorted(set(limits))
    assert len(limits) > 10
    for limit in limits:
        budget = parse_budget(spec).model_copy(update={"limit": limit})
        assert parse_budget(budget.spec).limit == pytest.approx(limit)


def test_without_curve_or_speed_there_are_no_limits() -> None:
    assert limits_of(views.recommendation()) == ()
    assert limits_of(answer("seconds<=1", seconds=None)) == ()


@given(st.floats(1, 200), st.integers(1, 5))
def test_every_step_moves_unless_at_the_end(limit: float, by: int) -> None:
    limits = limits_of(answer())
    up, down = moved(limits, limit, by), moved(limits, limit, -by)
    assert up > limit or up == limits[-1]
    assert down < limit or down == limits[0]


async def test_a_finished_study_goes_on_for_the_budget_that_was_asked_last() -> None:
    services = Answering()
    async with watching(services).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        assert "u Continue" in shown(pilot.app)
        await pilot.press("b", *"tokens<=40", "enter", "u")
        await until(pilot, lambda: "Continue until?" in shown(pilot.app))
        await pilot.press(*"soon", "enter")
        await until(pilot, lambda: "write settled, +500 rollouts" in shown(pilot.app))
        await pilot.press("home", *["delete"] * 4, *"+50 rollouts", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ProbeScreen))
        wanted = ("extend", (services.view.path, *parse_extension("+50 rollouts", "tokens<=40")))
        await until(pilot, lambda: wanted in services.asked)


def parse_extension(end: str, budget: str) -> tuple[Until, Budget]:
    return parse_until(end), parse_budget(budget)


async def test_a_running_study_cannot_be_continued() -> None:
    services = Answering()
    services.view = views.newer(services.view, state=StudyState.RUNNING)
    async with watching(services).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        assert "Continue" not in shown(pilot.app)
        await pilot.press("u")
        await pilot.pause()
        assert "Continue until?" not in shown(pilot.app)


@pytest.mark.parametrize("over_ssh", [True, False])
async def test_the_report_is_written_and_opened_and_over_ssh_its_path_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over_ssh: bool
) -> None:
    opened_path = tmp_path / "opened"
    program = tmp_path / "xdg-open"
    program.write_text(
        f"#!/bin/sh\necho $1 > {opened_path}.part; mv {opened_path}.part {opened_path}\n"
    )
    program.chmod(0o755)
    for name in [name for name in os.environ if name.startswith("SSH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    if over_ssh:
        monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    services = Answering()
    async with watching(services).run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        screen.query_one("#out", Input).value = str(tmp_path / "out")
        await pilot.press("o")
        words = "Open the report with a browser" if over_ssh else "Opened the report"
        await until(pilot, lambda: words in said(pilot.app, "status"))
        assert str(tmp_path / "out" / "file.report") in said(pilot.app, "written")
        if not over_ssh:
            await until(pilot, opened_path.exists)
    assert opened_path.exists() is not over_ssh
    assert [what for kind, what in services.asked if kind == "export"] == ["report"]
