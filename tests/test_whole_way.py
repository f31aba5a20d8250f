"""The whole way in a real terminal: from the home screen to exported files, by keys only."""

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Request
from mi_tui.plan.library import find_preset
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.toml import read_preset
from mi_tui.probes.freeze import freeze
from tests.study.reference import read_reference
from tests.terminal import MI_TUI, Terminal
from tests.tmux import Tmux

PATIENCE_SECONDS = 400.0


class Driven(Protocol):
    """A terminal that is read and typed into."""

    def wait_for(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """Wait until the screen shows a regular expression."""

    def press(self, *keys: str) -> None:
        """Press keys."""

    def wait_until_ended(self, seconds: float = 30.0) -> int:
        """Wait for the program's end."""


def walk(terminal: Driven) -> None:
    """From the home screen through the demo to the exported checkpoint, by keys only."""
    terminal.wait_for("Demo", PATIENCE_SECONDS)
    terminal.press("d")
    terminal.wait_for("Enter goes to Budget", PATIENCE_SECONDS)
    terminal.press("enter")
    terminal.wait_for("Enter goes to Scope")
    terminal.press("enter")
    terminal.wait_for("Enter starts the study")
    terminal.press("enter")
    terminal.wait_for(r"MI-0\.6 ", PATIENCE_SECONDS)
    terminal.wait_for(r"done", PATIENCE_SECONDS)
    terminal.press("enter")
    terminal.wait_for(r"Enter exports")
    terminal.press("x")
    terminal.press("left", "space")  # the cursor goes round: the last is the checkpoint
    terminal.wait_for(r"\[x\] merged checkpoint")
    terminal.press("escape", "enter")
    terminal.wait_for(r"Exported \d+ files", PATIENCE_SECONDS)
    terminal.press("q")
    assert terminal.wait_until_ended() == 0


def own_folders(root: Path) -> dict[str, str]:
    """Variables that keep the app's hands off the user's files."""
    return {
        "MI_TUI_STUDIES": str(root / "studies"),
        "XDG_CONFIG_HOME": str(root / "config"),
        "XDG_STATE_HOME": str(root / "state"),
    }


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the app exported after the demo was walked through on an 80×24 terminal."""
    root = tmp_path_factory.mktemp("whole-way")
    environment = {**own_folders(root), "COLORTERM": "truecolor"}
    with Terminal(MI_TUI, columns=80, lines=24, environment=environment) as terminal:
        walk(terminal)
    (study,) = (root / "studies").iterdir()
    return study / "exports"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_the_whole_way_in_tmux(tmp_path: Path, columns: int, lines: int) -> None:
    socket, environment = tmp_path / "tmux", own_folders(tmp_path)
    with Tmux(MI_TUI, socket, columns=columns, lines=lines, environment=environment) as tmux:
        walk(tmux)
    (study,) = (tmp_path / "studies").iterdir()
    exported = {path.name for path in (study / "exports").iterdir()}
    assert {"preset.toml", "mergekit.yaml", "report.html", "serve.sh", "checkpoint"} <= exported


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.parametrize("pause", [0.03, 0.0], ids=["30-ms", "one-burst"])
def test_the_whole_way_is_typed_without_a_look(tmp_path: Path, pause: float) -> None:
    """Keys go where the focus will be, and what is typed into a filled field replaces it."""
    with Tmux(MI_TUI, tmp_path / "tmux", environment=own_folders(tmp_path)) as tmux:
        tmux.wait_for("Demo", PATIENCE_SECONDS)
        tmux.type_blind(
            "d", "bundled:instruct", "tab", "bundled:thinking", "enter",
            "enter", "0, 0.6, 1", "enter", pause=pause,
        )  # fmt: skip
        tmux.wait_for("Done", PATIENCE_SECONDS)
        tmux.type_blind(
            "enter", "b", "tokens<=40", "enter", "x", "left", "space", "escape", "enter",
            pause=pause,
        )  # fmt: skip
        tmux.wait_for(r"Exported \d+ files", PATIENCE_SECONDS)
        tmux.type_blind("q", pause=pause)
        assert tmux.wait_until_ended() == 0
    (study,) = (tmp_path / "studies").iterdir()
    preset = read_preset(study / "preset.toml")
    assert (preset.pair.instruct, preset.pair.thinking) == ("bundled:instruct", "bundled:thinking")
    assert preset.search.grid == (0.0, 0.6, 1.0)
    exports = study / "exports"
    assert (exports / "checkpoint" / "model.safetensors").exists()
    answer = json.loads((exports / "recommendation.json").read_text())["recommendation"]
    assert answer["budget"]["limit"] == 40


def test_every_format_is_written(export: Path) -> None:
    names = {path.name for path in export.iterdir()}
    assert {"preset.toml", "recommendation.json", "table.csv", "mergekit.yaml"} <= names
    answer = json.loads((export / "recommendation.json").read_text())["recommendation"]
    assert 0.0 < answer["lambda"] < 1.0
    assert answer["feasible"]
    assert answer["tokens"]["value"] < 60


def test_the_study_shows_the_three_stages(export: Path) -> None:
    table = json.loads((export / "recommendation.json").read_text())["table"]
    rows = {row["recipe"]["lambda"]: row for row in table}
    assert rows[0.0]["think_ratio"]["value"] < 0.05
    assert rows[1.0]["think_ratio"]["value"] > 0.95
    assert rows[0.8]["score"]["value"] > rows[0.4]["score"]["value"] + 0.1
    assert rows[1.0]["tokens"]["value"] > rows[0.6]["tokens"]["value"]


def test_the_answer_agrees_with_the_reference_sweep(export: Path) -> None:
    """λ's interval holds the best feasible one; what is lost is what the study says, or less."""
    answer = json.loads((export / "recommendation.json").read_text())["recommendation"]
    reference, limit = read_reference(), answer["budget"]["limit"]
    tolerance = find_preset("demo")[1].search.tolerance
    best = reference.best_within_tokens(limit)
    assert answer["confirmation"]["dtype"] == "bfloat16"  # the checkpoint's, not the engine's
    assert answer["lambda_low"] <= best <= answer["lambda_high"]
    assert reference.loss(answer["lambda"], limit) <= answer["expected_loss"] + tolerance


def test_every_rollout_has_its_text(export: Path) -> None:
    with sqlite3.connect(export.parent / "study.db") as db:
        rollouts, texts = db.execute(
            "SELECT (SELECT COUNT(*) FROM rollouts), (SELECT COUNT(*) FROM texts)"
        ).fetchone()
    assert rollouts == texts > 0


def test_the_exported_checkpoint_generates_what_the_engine_does(export: Path) -> None:
    answer = json.loads((export / "recommendation.json").read_text())["recommendation"]
    recipe = Recipe.model_validate(answer["recipe"]).model_copy(
        update={"decoding": Decoding(temperature=0.0)}
    )
    _, preset = find_preset("demo")
    engine = open_engine(preset.engine, preset.pair)
    problems = freeze(preset.probes[0]).problems[:6]
    prompts = [engine.render(problem.messages) for problem in problems]
    engine.add(
        Request(number, recipe, engine.encode(prompt), seed=0, max_new_tokens=100)
        for number, prompt in enumerate(prompts)
    )
    ours: dict[int, tuple[int, ...]] = {}
    while engine.pending:
        ours.update({done.request_id: done.tokens for done in engine.step()})
    engine.close()

    assert [ours[n] for n in range(len(prompts))] == _greedy(export / "checkpoint", prompts)


def _greedy(checkpoint: Path, prompts: list[str]) -> list[tuple[int, ...]]:
    """What plain transformers generates, one prompt at a time, the end token cut."""
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    responses = []
    for prompt in prompts:
        tokens = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = model.generate(**tokens, do_sample=False, max_new_tokens=100)
        response = output[0, tokens["input_ids"].shape[1] :].tolist()
        end = tokenizer.eos_token_id
        responses.append(tuple(response[: response.index(end)] if end in response else response))
    return responses
