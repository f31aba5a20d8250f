"""Scope: the map of the network, the catalogue of probes, baselines, the forecast."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.results import LatencyPoint
from mi_tui.engines.choice import choose_engine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.recipe import capped_thinking
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.probes.kinds.user_file import FileProbe
from mi_tui.study.known_speeds import KnownSpeed
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.screens.dialogs.baselines import RowsScreen
from mi_tui.tui.screens.dialogs.probe_form import ProbeFormScreen
from mi_tui.tui.screens.dialogs.probe_kinds import CatalogueScreen
from mi_tui.tui.screens.reading.example import ExampleScreen
from mi_tui.tui.screens.steps.budget import BudgetScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from mi_tui.tui.widgets.choice import Choice
from mi_tui.tui.widgets.scope_map import ScopeMap, _ruler
from tests.engines.memory.machines import A100S, QWEN_4B
from tests.tui import views
from tests.tui.driving import said, shown, until
from tests.tui.services import SteeredServices


async def to_scope(pilot: Pilot[Any]) -> ScopeScreen:
    """Open Scope on the demo preset, as the steps before it would."""
    app = pilot.app
    assert isinstance(app, MiTuiApp)
    screen = ScopeScreen(draft_of(views.preset()), app._services)
    app.push_screen(screen)
    await until(pilot, lambda: "layer" in shown(app) and "1,344 rollouts" in shown(app))
    return screen


def on(services: SteeredServices) -> MiTuiApp:
    return MiTuiApp(services=services)


def lines(app: MiTuiApp, *parts: str) -> list[str]:
    """The screen's line that holds each part."""
    return [next(line for line in shown(app).splitlines() if part in line) for part in parts]


async def test_the_map_follows_layers_and_modules() -> None:
    app = on(SteeredServices())
    async with app.run_test() as pilot:
        screen = await to_scope(pilot)
        attention, norms = lines(app, "attention", "norms")
        assert attention.count("■") == norms.count("■") == 36
        assert "router" not in shown(app), "this model has none"
        screen.query_one("#layers", Input).value = "12-35"
        await until(pilot, lambda: lines(app, "attention")[0].count("■") == 24)
        attention, embeddings = lines(app, "attention", "embeddings")
        assert attention.count("·") == 12
        assert attention.index("·") < attention.index("■")
        assert "■" not in embeddings, "what is in no layer is kept where layers are chosen"
        screen.set_focus(screen.query_one(ScopeMap))
        await pilot.press("space")
        await until(pilot, lambda: "■" not in lines(app, "attention")[0])
        assert "The rest" in shown(app)
        screen.query_one("#layers", Input).value = "12-"
        await until(pilot, lambda: "no layer range" in shown(app))
        assert lines(app, "FFN")[0].count("■") == 24, "the last valid layers stay drawn"


@pytest.mark.parametrize(
    ("layers", "each", "told"),
    [
        (36, 1, "0         10        20        30  35"),
        (4, 1, "0  3"),
        (1, 1, "0"),
        (94, 3, "0  10 20  30 40 50  60 70 80  93"),
    ],
)
def test_the_ruler_names_every_tenth_layer(layers: int, each: int, told: str) -> None:
    groups = [range(at, min(at + each, layers)) for at in range(0, layers, each)]
    assert _ruler(groups, 1) == told


async def test_known_sigma_shades_the_map_by_signs() -> None:
    services = SteeredServices()
    pair = views.preset().pair
    services.measure_gap(pair, lambda *_: None, lambda: False)
    app = on(services)
    async with app.run_test() as pilot:
        await to_scope(pilot)
        ffn, embeddings = lines(app, "[x] FFN", "embeddings")
        assert "■" not in ffn
        assert ffn.index("░") < ffn.index("▒") < ffn.index("▓") < ffn.index("█")
        assert "░" in embeddings
        assert "σ small to large" in shown(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)])
async def test_nothing_that_matters_is_cut_off(size: tuple[int, int]) -> None:
    app = on(SteeredServices())
    async with app.run_test(size=size) as pilot:
        await to_scope(pilot)
        for part in (
            "minutes",
            "±10 points of score",
            "±17 % of length",
            "f7 Baselines",
            "f1 Help",
        ):
            await until(pilot, lambda part=part: part in shown(app))  # type: ignore[misc]


async def test_a_probe_is_added_from_the_catalogue_with_its_weight() -> None:
    services = SteeredServices()
    app = on(services)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_scope(pilot)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, CatalogueScreen))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExampleScreen))
        await until(pilot, lambda: "word-problems: 64 problems" in shown(app))
        await pilot.press("escape", "f1")
        await until(pilot, lambda: "Step 3: Scope" in shown(app))
        await pilot.press("escape", "j", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeFormScreen))
        weight = app.screen.query_one("#probe-weight", Input)
        weight.value = "0"
        await until(pilot, lambda: "more than 0" in shown(app))
        await pilot.press("enter")
        assert isinstance(app.screen, ProbeFormScreen)
        weight.value = "3"
        await until(pilot, lambda: "more than 0" not in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ScopeScreen))
        await until(pilot, lambda: "multiple-cho… ×3" in shown(app))
        await until(pilot, lambda: "75 %" in shown(app) and "25 %" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen))
        # Drawn, and so whole: an app that is closed while it composes a screen fails.
        await until(pilot, lambda: "Mean@k" in shown(app))
    started = next(what for kind, what in services.asked if kind == "start")
    assert [(probe.kind, probe.weight) for probe in started.probes] == [
        ("arithmetic", 1.0),
        ("multiple-choice", 3.0),
    ]


async def test_a_probe_is_edited_where_the_cursor_is() -> None:
    app = on(SteeredServices())
    async with app.run_test() as pilot:
        screen = await to_scope(pilot)
        screen.query_one("#problems-0", Input).value = "32"
        screen.set_focus(screen.query_one("#cap-0"))
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, ProbeFormScreen))
        assert app.screen.query_one("#probe-problems", Input).value == "32"
        app.screen.query_one("#probe-operations", Input).value = "5"
        app.screen.query_one("#probe-problems", Input).value = "40"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ScopeScreen))
        await until(pilot, lambda: "7 recipes × 30 problems" in shown(app))
    plan = screen.draft.probes[0].plan
    assert isinstance(plan, ArithmeticProbe)
    assert plan.operations == (5,)


async def test_baselines_are_added_and_ask_for_their_base() -> None:
    app = on(SteeredServices())
    async with app.run_test() as pilot:
        screen = await to_scope(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "Scale? (paper: 0.7)" in shown(app))
        await pilot.press("end", "x")
        await until(pilot, lambda: "a number" in shown(app))
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: "task arithmetic, scale 0.7" in shown(app))
        await until(pilot, lambda: "the baselines need one" in shown(app))
        await pilot.press("k", "k", "k", "k", "enter")
        await until(pilot, lambda: "Scale and density" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "TIES, scale 0.5, density 0.2" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "TA-0.7 needs a base model" in shown(app))
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        await pilot.press("G", "enter")
        await until(pilot, lambda: "Base model of the baselines?" in shown(app))
        app.screen.query_one("#ask-field", Input).value = "bundled:base"
        await pilot.press("enter", "escape")
        await until(pilot, lambda: "TA-0.7, TIES" in shown(app))
        await until(pilot, lambda: "9 recipes" in shown(app))
        assert [r.method for r in screen.draft.recipes] == ["task-arithmetic", "ties"]
        assert screen.checked.preset is not None
        assert screen.checked.preset.pair.base == "bundled:base"
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        await pilot.press("g", "x", "x", "escape")
        await until(pilot, lambda: "8 recipes" in shown(app))


async def test_rows_of_capped_thoughts_are_added() -> None:
    app = on(SteeredServices())
    async with app.run_test() as pilot:
        screen = await to_scope(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        await pilot.press("k", "enter")
        await until(pilot, lambda: "Tokens a thought may have?" in shown(app))
        app.screen.query_one("#ask-field", Input).value = "0"
        await pilot.press("enter")
        await until(pilot, lambda: "a whole number from 1" in shown(app))
        app.screen.query_one("#ask-field", Input).value = "48"
        await pilot.press("enter")
        await until(pilot, lambda: "1 Thinking · thought ≤ 48" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "8 recipes" in shown(app))
        assert screen.draft.recipes == (capped_thinking(48),)
        assert screen.checked.preset is not None
        assert screen.checked.preset.recipes == (capped_thinking(48),)


async def test_the_forecast_gives_time_where_an_earlier_study_measured_it() -> None:
    services = SteeredServices()
    services.speed = KnownSpeed(
        "demo-1",
        "box · cpu · float32",
        Latency(0.01, 0.001),
        (LatencyPoint(1, 0.01, 0.001),),
        4301.0,
    )
    app = on(services)
    async with app.run_test() as pilot:
        await to_scope(pilot)
        await until(pilot, lambda: "430k tokens, 1 min 40 s" in said(app, "forecast"))


async def test_the_forecast_takes_the_lengths_of_an_earlier_study_of_the_same_problems() -> None:
    services = SteeredServices()
    services.speed = KnownSpeed(
        "demo-1",
        "box · cpu · float32",
        Latency(0.01, 0.001),
        (LatencyPoint(1, 0.01, 0.001),),
        2688.0,
        tokens_per_response=40.0,
        probes=frozenset({"arithmetic"}),
    )
    app = on(services)
    async with app.run_test() as pilot:
        await to_scope(pilot)
        wanted = "about 53.8k tokens, 20 s at the speed measured before as in demo-1; at most 430k"
        await until(pilot, lambda: wanted in said(app, "forecast"))


async def test_a_cap_beyond_the_context_is_told_before_the_start() -> None:
    services = SteeredServices()
    services.network = lambda pair: replace(views.network(), context=256)  # type: ignore[method-assign]
    app = on(services)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_scope(pilot)
        await until(pilot, lambda: "beyond the model's context of 256" in said(app, "status"))


async def test_a_missing_or_bad_file_is_refused_in_the_form(tmp_path: Path) -> None:
    app = on(SteeredServices())
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(f'{{"prompt": "p{i}", "answer": "1"}}\n' for i in range(20)))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "p", "answer": "1"}\n' + '{"prompt": "p"}\n' * 5)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await to_scope(pilot)
        await pilot.press("f5", "G", "k", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeFormScreen))
        path = app.screen.query_one("#probe-path", Input)
        for name, told in (
            (tmp_path / "gone.jsonl", ["gone.jsonl: no such file"]),
            (bad, ["bad.jsonl row 2", "bad.jsonl row 3", "bad.jsonl row 4", "and 2 more rows"]),
        ):
            path.value = str(name)
            await pilot.press("enter")
            for part in told:
                await until(pilot, lambda part=part: part in shown(app))  # type: ignore[misc]
            assert app.screen.focused is path
        assert len(screen.draft.probes) == 1
        path.value = str(tmp_path / "mi")
        path.action_end()
        await until(pilot, lambda: path._suggestion == str(file))
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(app.screen, ScopeScreen))
        await until(pilot, lambda: "63 problems" in shown(app))


async def test_a_file_that_is_gone_since_starts_no_study(tmp_path: Path) -> None:
    services = SteeredServices()
    app = on(services)
    probe = FileProbe(kind="file", path=str(tmp_path / "gone.jsonl"))
    preset = views.preset().model_copy(update={"probes": (probe,)})
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(ScopeScreen(draft_of(preset), services))
        await until(pilot, lambda: "gone.jsonl: no such file" in shown(app))
        await pilot.press("enter")
        assert isinstance(app.screen, ScopeScreen)
    assert "start" not in [what for what, _ in services.asked]


async def test_a_limit_above_every_cap_is_told_before_the_start() -> None:
    services = SteeredServices()
    app = on(services)
    budget = views.preset().budget.model_copy(update={"limit": 602_000})
    async with app.run_test(size=(120, 40)) as pilot:
        preset = views.preset().model_copy(update={"budget": budget})
        app.push_screen(ScopeScreen(draft_of(preset), services))
        await until(pilot, lambda: "No response can be longer than 320 tokens" in shown(app))


async def test_columns_by_other_names_are_asked_for_once(tmp_path: Path) -> None:
    app = on(SteeredServices())
    file = tmp_path / "mine.csv"
    file.write_text("question;target\n" + "".join(f"What is {i}+1?;{i + 1}\n" for i in range(20)))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await to_scope(pilot)
        await pilot.press("f5", "G", "k", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeFormScreen))
        app.screen.query_one("#probe-path", Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: "question → prompt?   What is 0+1?" in shown(app))
        assert "target → answer?   1" in shown(app)
        await pilot.press("n")
        await until(pilot, lambda: "mine.csv has no column prompt or messages" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "question → prompt?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ScopeScreen))
        await until(pilot, lambda: "63 problems" in shown(app))
    plan = screen.draft.probes[-1].plan
    assert isinstance(plan, FileProbe)
    assert plan.columns == {"prompt": "question", "answer": "target"}


async def test_a_study_has_the_name_that_is_typed_and_else_the_proposed_one() -> None:
    services = SteeredServices()
    app = MiTuiApp(start="demo", preset=views.preset(), services=services)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BudgetScreen))
        await pilot.press("enter")
        await until(pilot, lambda: "demo-arithmetic" in shown(app))
        app.screen.query_one("#name").focus()
        await pilot.press(*"a/b", "enter")
        await until(pilot, lambda: "letters, digits, dots" in shown(app))
        await pilot.press("backspace", "backspace", *"-1", "enter")
        await until(pilot, lambda: ("named", "a-1") in services.asked)


async def test_two_knobs_are_asked_for_by_a_switch_and_need_attention_and_ffn() -> None:
    app = on(SteeredServices())
    async with app.run_test() as pilot:
        screen = await to_scope(pilot)
        screen.set_focus(screen.query_one("#refine"))
        await pilot.press("right", "space")
        await until(pilot, lambda: "[x] then two knobs" in shown(app))
        assert screen.checked.preset is not None
        assert screen.checked.preset.search.two_knobs
        assert screen.checked.preset.search.refine
        screen.set_focus(screen.query_one(ScopeMap))
        await pilot.press("space")
        await until(pilot, lambda: screen.checked.preset is None)
        assert "two_knobs needs attention and the FFN" in str(screen.checked.problems)


async def test_the_engine_is_a_field_and_its_memory_a_line() -> None:
    services = SteeredServices()
    services.choice = choose_engine(
        EnginePlan(), QWEN_4B, QWEN_4B, A100S, cap=81_920, installed=True
    )
    app = on(services)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await to_scope(pilot)
        await until(pilot, lambda: "vLLM, one pass × 4; 4 responses of 81,920" in shown(app))
        field = screen.query_one("#engine", Choice)
        assert field.value == "auto"
        field.focus()
        await pilot.press("right", "right", "space")
        await until(pilot, lambda: screen.draft.engine == "vllm")
        await until(pilot, lambda: ("engine choice", "vllm") in services.asked)
        preset = screen.checked.preset
        assert preset is not None
        assert preset.engine.kind == "vllm"
        assert draft_of(preset).engine == "vllm"


async def test_a_wide_screen_says_why_and_how_long() -> None:
    services = SteeredServices()
    services.choice = choose_engine(
        EnginePlan(), QWEN_4B, QWEN_4B, A100S, cap=81_920, installed=False
    )
    app = on(services)
    async with app.run_test(size=(130, 40)) as pilot:
        await to_scope(pilot)
        await until(pilot, lambda: "is not installed" in said(app, "forecast"))
        assert "by a rough estimate" in said(app, "forecast")
        assert "4 replicas, each: in place" in said(app, "forecast")


async def test_a_cap_that_does_not_fit_stands_below_the_engine() -> None:
    services = SteeredServices()
    services.choice = choose_engine(
        EnginePlan(), QWEN_4B, QWEN_4B, A100S, cap=10_000_000, installed=True
    )
    app = on(services)
    async with app.run_test(size=(100, 40)) as pilot:
        await to_scope(pilot)
        await until(pilot, lambda: "set the cap to" in " ".join(shown(app).split()))
