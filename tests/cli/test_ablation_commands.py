"""Ablations from the command line, on the bundled pair: a preset, a run, its table."""

import json
from pathlib import Path

import pytest

from mi_tui.analysis.ablation.rows import AblationKind
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, labels
from mi_tui.plan.scope import ALL_MODULES, ModuleKind
from mi_tui.plan.toml import read_preset, write_preset
from mi_tui.study.ablation_preset import ablation_of
from mi_tui.study.control import create_study
from mi_tui.study.reader import StudyReader
from tests.cli.command import command
from tests.study.presets import small_preset

LAYERS = 4
PROBLEMS, SAMPLES = 6, 2
DENSE = tuple(kind for kind in ALL_MODULES if kind is not ModuleKind.ROUTER)
KINDS = (
    AblationKind.LAYERS,
    AblationKind.MODULES,
    AblationKind.LAYERS_MODULES,
    AblationKind.DECODING,
    AblationKind.BASELINES,
)


@pytest.fixture(scope="module")
def ablated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study with the rows of every kind, run for real."""
    plan = small_preset(problems=PROBLEMS, samples=1)
    probes = tuple(probe.model_copy(update={"samples": SAMPLES}) for probe in plan.probes)
    engine = plan.engine.model_copy(update={"batch": 128})
    plan = plan.model_copy(update={"probes": probes, "engine": engine})
    every = [ablation_of(plan, kind, 0.8, LAYERS, DENSE) for kind in KINDS]
    rows = tuple(dict.fromkeys(row for one in every for row in one.recipes))
    found: Preset = every[0].model_copy(update={"recipes": rows})
    folder = tmp_path_factory.mktemp("ablation")
    write_preset(found, folder / "every.toml")
    done = command("run", str(folder / "every.toml"), "--study", str(folder / "study"))
    assert done.returncode in (0, 3), done.stderr
    return folder / "study"


def recipes_of(path: Path) -> tuple[Recipe, ...]:
    with StudyReader(path) as reader:
        return tuple(row.recipe for row in reader.view().rows)


def test_every_row_of_every_kind_is_measured_on_the_same_problems(ablated: Path) -> None:
    with StudyReader(ablated) as reader:
        view = reader.view()
    wanted = {
        row
        for kind in KINDS
        for row in ablation_of(small_preset(), kind, 0.8, LAYERS, DENSE).recipes
    }
    assert wanted <= {row.recipe for row in view.rows}
    assert {row.problems for row in view.rows} == {PROBLEMS}
    # The probe's own number of samples, not the search's.
    assert view.preset.search.samples == 1
    assert {row.samples for row in view.rows} == {SAMPLES}


def test_the_paired_table_has_a_difference_for_every_row_and_both_heat_maps(
    ablated: Path,
) -> None:
    found = json.loads(command("table", str(ablated), "--paired", "--json").stdout)
    assert found["reference_label"] == "MI-0.8"
    assert len(found["rows"]) == len(recipes_of(ablated)) - 1
    assert all(row["difference"]["problems"] == PROBLEMS for row in found["rows"])
    assert found["each_level"] == pytest.approx(1 - 0.05 / len(found["rows"]))
    decoding, scope = found["grids"]
    assert decoding["rows"] == ["T 0.6", "T 0.65", "T 0.7"]
    assert decoding["columns"] == ["0.8", "0.85", "0.9", "0.95"]
    assert all(cell is not None for line in decoding["score"] for cell in line)
    assert {"all", "FFN only", "attention only"} <= set(scope["columns"])


def test_what_is_equal_on_both_sides_changes_no_response(ablated: Path) -> None:
    found = json.loads(command("table", str(ablated), "--paired", "--json").stdout)
    (norms,) = [row for row in found["rows"] if row["label"].endswith("w/o norms")]
    assert norms["difference"]["score"]["value"] == 0.0
    assert norms["difference"]["tokens_ratio"]["value"] == 1.0
    (attention,) = [row for row in found["rows"] if row["label"] == "MI-0.8 · attention only"]
    assert attention["summary"]["think_ratio"]["value"] < 0.5
    assert attention["difference"]["tokens_ratio"]["high"] < 1.0


def test_the_table_as_text_names_every_row_and_says_what_the_intervals_mean(
    ablated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = command("table", str(ablated), "--paired").stdout
    for label in labels(recipes_of(ablated)):
        assert label in text
    assert "hold together with 95 %" in text
    assert "temperature by top-p" in text
    assert "layers by modules" in text
    against = command("table", str(ablated), "--against", "MI-1").stdout
    assert "Differences from MI-1" in against
    wrong = command("table", str(ablated), "--against", "MI-7")
    assert wrong.returncode != 0
    assert "no row 'MI-7'" in wrong.stderr


def test_a_row_of_the_table_is_written_as_a_checkpoint(ablated: Path, tmp_path: Path) -> None:
    label = "MI-0.8 · layers 1–3"
    out = tmp_path / "row"
    done = command("export", str(ablated), "--row", label, "--to", str(out))
    assert done.returncode == 0, done.stderr
    assert command("merge", "--verify", str(out)).returncode == 0
    assert label in (out / "README.md").read_text()
    wrong = command("export", str(ablated), "--row", label, "--format", "json")
    assert "leave --format" in wrong.stderr


def test_ablate_prints_or_writes_a_preset_that_runs(tmp_path: Path) -> None:
    path = create_study(small_preset(), tmp_path / "new")
    missing = command("ablate", str(path), "--kind", "layers")
    assert missing.returncode != 0
    assert "no recommendation yet" in missing.stderr
    common = ("--kind", "layers", "--lambda", "0.8", "--layers", "1-3", "--quick")
    out = tmp_path / "layers.toml"
    written = command("ablate", str(path), *common, "--to", str(out))
    assert written.returncode == 0, written.stderr
    printed = command("ablate", str(path), *common)
    (tmp_path / "printed.toml").write_text(printed.stdout)
    found = read_preset(out)
    assert read_preset(tmp_path / "printed.toml") == found
    assert [row.label for row in found.recipes] == ["MI-0.8 · layers 1–3"]


@pytest.mark.slow
def test_ablate_runs_and_shows_the_table(tmp_path: Path) -> None:
    path = create_study(small_preset(problems=4, samples=1), tmp_path / "new")
    done = command(
        "ablate", str(path), "--kind", "layers", "--lambda", "0.8", "--layers", "1-3",
        "--run", "--to", str(tmp_path / "ran"), "--plain",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "MI-0.8 · layers" in done.stdout
    assert "Differences from MI-0.8" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--kind", "heads"), "layers, modules, layers-modules"),
        (("--kind", "layers", "--lambda", "2"), "from 0 to 1"),
        (("--kind", "layers", "--lambda", "0.5", "--layers", "5-1"), "runs backwards"),
        (("--kind", "modules", "--lambda", "0.5", "--layers", "1-2"), "takes no layers"),
        (("--kind", "layers", "--lambda", "0.5", "--layers", "3-4"), "layers 0-3"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    path = create_study(small_preset(), tmp_path / "new")
    done = command("ablate", str(path), *arguments)
    assert done.returncode not in (0, 70)
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


@pytest.mark.slow
def test_a_lambda_per_layer_group_is_searched_and_judged_on_held_out_problems(
    tmp_path: Path,
) -> None:
    path = create_study(small_preset(problems=16, samples=1), tmp_path / "new")
    done = command(
        "ablate", str(path), "--kind", "layer-groups", "--lambda", "0.6",
        "--run", "--to", str(tmp_path / "ran"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["layer_groups"]
    assert found["sentence"]
    moved = [recipe for recipe in recipes_of(tmp_path / "ran") if recipe.rules]
    assert len(moved) >= 8
    assert {len(recipe.rules) for recipe in moved} == {4}
    with StudyReader(tmp_path / "ran") as reader:
        assert found["sentence"].rstrip(".") in reader.view().message
    if found["recipe"] is not None:
        assert found["held_out"]["problems"] == 4


@pytest.mark.slow
def test_two_knobs_are_searched_and_judged_on_held_out_problems(tmp_path: Path) -> None:
    path = create_study(small_preset(problems=16, samples=1), tmp_path / "new")
    done = command(
        "ablate", str(path), "--kind", "two-knobs", "--lambda", "0.6",
        "--run", "--to", str(tmp_path / "ran"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["two_knobs"]
    assert len({(cell["attention"], cell["ffn"]) for cell in found["cells"]}) >= 121
    turned = [recipe for recipe in recipes_of(tmp_path / "ran") if recipe.rules]
    assert len(turned) >= 2
    assert all(recipe.knobs for recipe in turned)
    with StudyReader(tmp_path / "ran") as reader:
        assert found["sentence"].rstrip(".") in reader.view().message
    if found["recipe"] is not None:
        assert found["held_out"]["problems"] == 4
