"""Extensions as other people write them: one file, found through an entry point, then used."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from textual.widgets import Input
from transformers import AutoModelForCausalLM

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.write import merge
from mi_tui.cli.format_options import complete_format
from mi_tui.cli.method_options import complete_method
from mi_tui.engines.protocol import Request
from mi_tui.export.format import FORMATS
from mi_tui.export.mergekit_config import mergekit_yaml
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.method import METHODS
from mi_tui.plan.objective import OBJECTIVES
from mi_tui.plan.pair import Pair
from mi_tui.plan.probe import PROBE_KINDS, AnyProbe
from mi_tui.plan.recipe import Decoding, Recipe, interpolation
from mi_tui.plan.toml import preset_text, read_preset
from mi_tui.present.budget_limits import limits_of
from mi_tui.probes.probe_kind import kind_of
from mi_tui.probes.scoring.scorer import SCORERS
from mi_tui.study.control import create_study
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.records import PlannedAsk
from mi_tui.study.storage.store import Store
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.forms.probe_fields import read_probe, texts_of
from mi_tui.tui.screens.dialogs.baselines import Rows, RowsScreen
from mi_tui.tui.screens.dialogs.probe_form import ProbeFormScreen
from mi_tui.tui.screens.dialogs.probe_kinds import CatalogueScreen
from mi_tui.tui.screens.steps.budget import BudgetScreen
from mi_tui.tui.widgets.choice import Choice
from mi_tui.tui.widgets.menu import MenuList
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load
from tests.engines.support import engine_for, generated, prompts, run, with_end
from tests.study.presets import small_preset
from tests.study.storage.test_store import a_probe, a_rollout
from tests.tui import views
from tests.tui.driving import said, shown, until
from tests.tui.services import SteeredServices

ROOT = Path(__file__).resolve().parents[1]
METHOD_GROUP = "mi_tui.checkpoints.methods"
FORMAT_GROUP = "mi_tui.export.formats"
OBJECTIVE_GROUP = "mi_tui.analysis.recommendation.objectives"


def example(heading: str) -> tuple[str, str]:
    """The module that a section of docs/extending.md shows: its name and its text."""
    section = (ROOT / "docs" / "extending.md").read_text().split(f"\n## {heading}\n")[1]
    found = re.search(r"```python\n# (\w+)\.py\n(.*?)```", section, flags=re.DOTALL)
    assert found is not None
    return found[1], found[2]


def install(folder: Path, group: str, module: str, text: str) -> None:
    """A distribution of one module with one entry point, as pip leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nit = {module}\n")


@pytest.fixture
def objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the objective of the docs is installed."""
    module, text = example("Add an objective")
    folder = tmp_path / "site"
    install(folder, OBJECTIVE_GROUP, module, text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(OBJECTIVES, "_installed_loaded", False)
    yield folder
    OBJECTIVES.unregister("score-within-thinking")
    sys.modules.pop(module, None)


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the merge method of the docs is installed."""
    module, text = example("Add a merge method")
    folder = tmp_path / "site"
    install(folder, METHOD_GROUP, module, text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(METHODS, "_installed_loaded", False)
    yield folder
    METHODS.unregister("clipped")
    sys.modules.pop(module, None)


@pytest.fixture
def export_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the export format of the docs is installed."""
    module, text = example("Add an export format")
    folder = tmp_path / "site"
    install(folder, FORMAT_GROUP, module, text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(FORMATS, "_installed_loaded", False)
    yield folder
    FORMATS.unregister("latex")
    sys.modules.pop(module, None)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study in which responses think from λ = 0.6 on, and thinking ones are right."""
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))
    path = create_study(small_preset(), tmp_path / "studies" / "thinking")
    with Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe(problems=25)])
        for at in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            recipe, thinks = store.recipe_index(interpolation(at)), at >= 0.6
            asks = [PlannedAsk(recipe, problem, 0, 1) for problem in range(24)]
            rollouts = [
                replace(
                    a_rollout(ask),
                    thinking=thinks,
                    score=float(thinks or ask.problem < 40 * at),
                    tokens=100 + ask.problem if thinks else 10 + ask.problem,
                )
                for ask in asks
            ]
            store.add_rollouts(rollouts)
    return path


def mi_tui(folder: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a folder of installed packages, or without one."""
    paths = [str(ROOT)] if folder is None else [str(folder), str(ROOT)]
    return subprocess.run(
        [sys.executable, "-m", "mi_tui", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def test_the_command_answers_an_installed_objective(objective: Path, study: Path) -> None:
    asked = ("recommend", study.name, "--budget", "thinking<=50%", "--json")
    done = mi_tui(objective, *asked)
    assert done.returncode in (0, 3), done.stderr
    found = json.loads(done.stdout)["recommendation"]
    assert found["budget"]["objective"] == "score-within-thinking"
    assert found["feasible"]
    assert 0.3 < found["lambda"] < 0.6, "the highest score, but not where responses think"
    assert found["think_ratio"]["value"] <= 0.5
    assert "highest score while at most 50 % of responses think" in found["sentence"]
    assert "thinking<=50%" in mi_tui(objective, "recommend", "--help").stdout

    without = mi_tui(None, *asked)
    assert without.returncode not in (0, 3)
    assert "budget 'thinking<=50%' cannot be read: write tokens<=2000" in without.stderr


def test_a_preset_of_an_objective_that_is_not_installed_says_which(
    objective: Path, tmp_path: Path
) -> None:
    path = tmp_path / "asked.toml"
    plan = small_preset().model_copy(update={"budget": parse_budget("thinking<=30%")})
    path.write_text(preset_text(plan))
    assert mi_tui(objective, "presets", str(path)).returncode == 0
    refused = mi_tui(None, "presets", str(path))
    assert refused.returncode != 0
    said_of_it = refused.stdout + refused.stderr
    assert "unknown objective 'score-within-thinking': use one of knee," in said_of_it


@pytest.mark.usefixtures("objective")
async def test_the_budget_step_asks_for_an_installed_objective() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=(100, 40)) as pilot:
        screen = BudgetScreen(draft_of(views.preset()), SteeredServices())
        app.push_screen(screen)
        await until(pilot, lambda: "Find the λ" in shown(app))
        assert "Best score within thinking" in shown(app)
        screen.query_one("#objective", Choice).focus()
        await pilot.press(*["down"] * 4)
        await until(pilot, lambda: "at most 50 % of responses think" in said(app, "forecast"))
        assert screen.query_one("#limit", Input).value == "50"
        assert "% of responses" in shown(app)
        assert not screen.query_one("#row-statistic").display
        screen.query_one("#limit", Input).value = "101"
        await until(pilot, lambda: "a number up to 100, not 101" in shown(app))
        screen.query_one("#limit", Input).value = "30"
        await until(pilot, lambda: "at most 30 % of responses think" in said(app, "forecast"))
        assert screen.checked.preset is not None
        assert screen.checked.preset.budget == parse_budget("thinking<=30%", 0.9)


@pytest.mark.usefixtures("objective")
def test_the_limit_of_an_installed_objective_can_be_moved(study: Path) -> None:
    with StudyReader(study) as reader:
        answer = reader.recommend(parse_budget("thinking<=50%"))
    limits = limits_of(answer)
    assert limits[0] == 0.05
    assert limits[-1] == 1.0
    assert "meets the limit with a probability" in answer.sentence


def test_the_command_merges_by_an_installed_method(method: Path, tmp_path: Path) -> None:
    pair = ("--instruct", "bundled:instruct", "--thinking", "bundled:thinking")
    asked = ("merge", *pair, "--method", "clipped", "--lambda", "0.5", str(tmp_path / "out"))
    done = mi_tui(method, *asked, "--most", "0.01", "--dtype", "float32")
    assert done.returncode == 0, done.stderr
    assert "CLIP-0.5 from instruct" in done.stderr
    card = (tmp_path / "out" / "README.md").read_text()
    assert "A merge by clipped (CLIP-0.5): λ 0.5, most 0.01, all layers, all modules." in card
    merged = load(tmp_path / "out")
    sides = [load(locate(f"bundled:{side}").path) for side in ("instruct", "thinking")]
    clipped = 0
    for name, tensor in merged.items():
        instruct, thinking = (side[name].float() for side in sides)
        change = (0.5 * (thinking - instruct)).clamp(-0.01, 0.01)
        torch.testing.assert_close(tensor, instruct + change, rtol=0, atol=1e-7)
        clipped += int((change.abs() == 0.01).sum())
    assert clipped, "the limit was never reached: this would pass for an interpolation, too"

    assert "clipped needs most, a number above 0, at most 10" in mi_tui(method, *asked).stderr
    assert "most = 11: a number" in mi_tui(method, *asked, "--most", "11").stderr
    wrong = mi_tui(method, *asked, "--most", "1", "--density", "0.2")
    assert "unknown key density: clipped takes lambda and most" in wrong.stderr
    without = mi_tui(None, *asked)
    assert without.returncode != 0
    assert "unknown merge method 'clipped': use one of interpolation, task" in without.stderr


def test_help_lists_an_installed_method_and_what_it_takes(method: Path) -> None:
    text = " ".join(mi_tui(method, "merge", "--help").stdout.split())
    assert "clipped Interpolates, but changes no weight by more than --most." in text
    assert "Takes --lambda, --most." in text
    assert "Of clipped: largest change of a weight, a number above 0, at most 10." in text
    assert "ties Trims both changes" in text
    own = mi_tui(method, "merge", "--method", "clipped", "--help").stdout
    assert "--most" in own
    assert "--density" not in own
    assert "ties" not in own.split("Merge methods:")[1]


@pytest.mark.usefixtures("method")
def test_a_recipe_of_an_installed_method_is_read_shown_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    row = Recipe(method="clipped", lambda_=0.5, most=0.02)
    path.write_text(preset_text(small_preset().model_copy(update={"recipes": (row,)})))
    assert 'method = "clipped"\n' in path.read_text()
    assert read_preset(path).recipes == (row,)
    assert row.label == "CLIP-0.5 · most 0.02"
    assert Recipe.from_json(row.canonical_json()) == row
    assert not row.is_of_the_pair
    assert complete_method("cl") == [("clipped", METHODS["clipped"].help)]
    with pytest.raises(CheckpointError, match="mergekit has no clipped interpolation"):
        mergekit_yaml(row, Pair(instruct="owner/one", thinking="owner/two"))


@pytest.mark.usefixtures("method")
async def test_the_further_rows_offer_an_installed_method() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=(100, 40)) as pilot:
        taken: list[Rows | None] = []
        app.push_screen(RowsScreen((), "", Decoding()), taken.append)
        await until(pilot, lambda: "+ clipped interpolation" in shown(app))
        listed = app.screen.query_one(MenuList)
        listed.highlighted = listed.get_option_index("add:clipped")
        await pilot.press("enter")
        await until(pilot, lambda: "λ and most?" in shown(app))
        field = app.screen.query_one("#ask-field", Input)
        assert field.value == "0.5, 0.01"
        field.value = "0.5, 20"
        await until(pilot, lambda: "most = 20: a number above 0, at most 10" in shown(app))
        field.value = "0.4, 0.03"
        await pilot.press("enter")
        await until(pilot, lambda: "clipped interpolation, λ 0.4, most 0.03" in shown(app))
        assert "the baselines need one" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: bool(taken))
    assert taken == [((Recipe(method="clipped", lambda_=0.4, most=0.03),), "")]


@pytest.mark.usefixtures("method")
def test_an_engine_measures_an_installed_method(tmp_path: Path) -> None:
    """Its rows go between those of one pass, with the weights that a merge would hold."""
    pair = tiny_pair("qwen3", tmp_path)
    recipe = Recipe(method="clipped", lambda_=0.5, most=0.01, decoding=Decoding(temperature=0))
    half = Recipe(lambda_=0.5, decoding=Decoding(temperature=0))
    asked = [
        Request(10 * at + number, wanted, prompt, 0, 12)
        for at, wanted in enumerate((recipe, half))
        for number, prompt in enumerate(prompts(2, seed=3))
    ]
    done = run(engine_for(pair, "one-pass"), asked)
    files = Pair(instruct=str(pair[0]), thinking=str(pair[1]))
    merge(recipe, files, tmp_path / "merged", dtype="float32")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    for request in asked[:2]:
        assert with_end(done[request.id]) == generated(model, request.prompt, 12)


def test_the_command_writes_an_installed_format(export_format: Path, study: Path) -> None:
    done = mi_tui(export_format, "export", study.name, "--format", "latex", "--format", "csv")
    assert done.returncode == 0, done.stderr
    tex, table = (Path(line) for line in done.stdout.split())
    assert (tex.name, table.name) == ("table.tex", "table.csv")
    lines = tex.read_text().splitlines()
    assert len(lines) == 9
    assert lines[2].startswith("MI-0 & 0.")
    text = " ".join(mi_tui(export_format, "export", "--help").stdout.split())
    assert "csv the results table" in text
    assert "latex score and length of each recipe, for a paper" in text

    without = mi_tui(None, "export", study.name, "--format", "latex")
    assert without.returncode != 0
    assert "unknown export format 'latex': use one of preset, json, csv," in without.stderr


@pytest.mark.usefixtures("export_format")
async def test_the_last_step_writes_and_copies_an_installed_format(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert complete_format("la") == [("latex", FORMATS["latex"].about)]
    app = MiTuiApp(start="watch", study=study)
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "LaTeX table" in shown(app) and "λ = " in said(app, "headline"))
        await pilot.press("c")
        await until(pilot, lambda: "Copy what?" in shown(app))
        listed = app.screen.query_one(MenuList)
        listed.highlighted = listed.get_option_index("latex")
        await pilot.press("enter")
        await until(pilot, lambda: "Copied the LaTeX table" in said(app, "status"))
        await pilot.press("enter")
        await until(pilot, lambda: "Exported 10 files" in said(app, "status"))
    exported = study / "exports" / "table.tex"
    assert [exported.read_text()] == copied
    assert copied[0].startswith("\\begin{tabular}")


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the probe kind and the scorer of the docs are installed."""
    folder = tmp_path / "site"
    modules = []
    for heading, group in (
        ("Add a probe kind", "mi_tui.probes.kinds"),
        ("Add a scorer", "mi_tui.probes.scorers"),
    ):
        module, text = example(heading)
        install(folder, group, module, text)
        modules.append(module)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(PROBE_KINDS, "_installed_loaded", False)
    monkeypatch.setattr(SCORERS, "_installed_loaded", False)
    yield folder
    PROBE_KINDS.unregister("sums")
    SCORERS.unregister("within-percent")
    for module in modules:
        sys.modules.pop(module, None)


SUMS = """
title = "Sums"
[pair]
instruct = "bundled:instruct"
thinking = "bundled:thinking"
[[probes]]
kind = "sums"
largest = 20
problems = 8
max_new_tokens = 160
[[probes]]
kind = "file"
path = "{path}"
scorer = "within-percent"
max_new_tokens = 160
[search]
grid = [0.0, 1.0]
samples = 1
refine = false
max_rollouts = 40
[engine]
dtype = "float32"
threads = 1
"""


def sums_preset(folder: Path) -> Path:
    """A preset of the demo pair that asks the installed kind, and a file by the scorer."""
    problems = folder / "own.jsonl"
    lines = [{"prompt": f"Compute {n}+{n} mod 100", "answer": str(2 * n)} for n in range(3, 9)]
    problems.write_text("\n".join(json.dumps(line) for line in lines))
    path = folder / "sums.toml"
    path.write_text(SUMS.format(path=problems))
    return path


def test_the_command_shows_and_runs_an_installed_kind_and_scorer(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))
    path = sums_preset(tmp_path)
    shown_problem = mi_tui(probe, "presets", str(path), "--example")
    assert shown_problem.returncode == 0, shown_problem.stderr
    assert "sums: 8 problems" in shown_problem.stdout
    assert "Scored by within-percent" in shown_problem.stdout
    done = mi_tui(probe, "run", str(path), "--study", str(tmp_path / "studies" / "sums"), "--json")
    assert done.returncode in (0, 3), done.stderr
    with Store(StudyFolder(tmp_path / "studies" / "sums").database) as store:
        asked = {one.name: one.scorer for one in store.probes()}
        problems, rollouts = store.problem_rows(), store.rollouts_after(0, 100)
    assert asked == {"sums": "boxed-integer", "file": "within-percent"}
    judged = {(problems[one["problem"]].probe, one["score"]) for one in rollouts}
    assert judged >= {("sums", 1.0), ("sums", 0.0), ("file", 1.0)}
    assert {one["failure"] for one in rollouts} == {None}

    refused = mi_tui(None, "presets", str(path))
    assert refused.returncode != 0
    said_of_it = " ".join((refused.stdout + refused.stderr).split())
    assert "input tag 'sums' found using 'kind' does not match" in said_of_it
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(path.read_text().replace("largest = 20", "smallest = 2"))
    said_of_it = " ".join(mi_tui(probe, "presets", str(wrong)).stderr.split())
    assert "unknown key probes.0.sums.smallest, allowed are held_out, kind, largest," in said_of_it


@pytest.mark.usefixtures("probe")
async def test_the_app_offers_an_installed_kind_with_its_form() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=(100, 50)) as pilot:
        taken: list[AnyProbe | None] = []
        app.push_screen(CatalogueScreen(None), taken.append)
        await until(pilot, lambda: "sums of two numbers" in shown(app))
        listed = app.screen.query_one(MenuList)
        listed.highlighted = listed.get_option_index("sums")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeFormScreen))
        field = app.screen.query_one("#probe-largest", Input)
        assert field.value == "9"
        field.value = "100"
        await until(pilot, lambda: "less than or equal to 99" in shown(app))
        field.value = "30"
        await until(pilot, lambda: "less than or equal to 99" not in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: bool(taken))
    assert taken[0] is not None
    assert taken[0].model_dump(include={"kind", "largest", "problems"}) == {
        "kind": "sums",
        "largest": 30,
        "problems": 16,
    }


@pytest.mark.usefixtures("probe")
def test_the_form_of_a_file_takes_an_installed_scorer() -> None:
    plan = kind_of("file").new()
    read, problems = read_probe(plan, {**texts_of(plan), "scorer": "within-percent"})
    assert problems == {}
    assert read is not None
    assert kind_of("file").scorer_for(read) == "within-percent"
    _, problems = read_probe(plan, {**texts_of(plan), "scorer": "within-1"})
    assert "within-percent" in problems["scorer"]
