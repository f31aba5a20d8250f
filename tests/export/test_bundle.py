"""Exports of a study by hand: files that are read back by those they are for."""

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from mi_tui.export.bundle import study_json, table_csv, tuned_preset
from mi_tui.export.serve import serve_script
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.toml import read_preset, write_preset
from tests.export.views import a_view, an_answer


def test_json_holds_recommendation_table_and_sources() -> None:
    data = json.loads(study_json(a_view(), an_answer()))
    assert data["recommendation"]["lambda"] == 0.5
    assert [row["label"] for row in data["table"]] == ["MI-0", "MI-0.5", "MI-1"]
    assert data["table"][1]["vote_ties"]["value"] == 0.125
    assert data["pair"]["thinking"] == "bundled:thinking"


def test_csv_has_a_row_per_recipe_and_numbers_in_every_cell_that_was_measured() -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv(a_view().rows))))
    assert [row["lambda"] for row in rows] == ["0.0", "0.5", "1.0"]
    assert float(rows[1]["score_low"]) < float(rows[1]["score"]) < float(rows[1]["score_high"])
    for name in ("pass_at_k", "vote_ties", "vote_no_answer", "tokens_p95", "truncated"):
        assert float(rows[1][f"{name}_low"]) < float(rows[1][name]) < float(rows[1][f"{name}_high"])
    assert rows[0]["seconds"] == ""


def test_the_tuned_preset_is_valid_and_carries_the_recipe(tmp_path: Path) -> None:
    preset = tuned_preset(a_view().preset, an_answer())
    write_preset(preset, tmp_path / "tuned.toml")
    again = read_preset(tmp_path / "tuned.toml")
    assert again == preset
    assert interpolation(0.5) in again.recipes


@pytest.mark.parametrize("server", ["vllm", "transformers"])
def test_the_serve_script_runs_the_server_on_the_checkpoint(tmp_path: Path, server: str) -> None:
    checkpoint = tmp_path / "it's here" / "checkpoint"
    (tmp_path / server).write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    (tmp_path / server).chmod(0o755)
    script = tmp_path / "serve.sh"
    script.write_text(serve_script(an_answer(), checkpoint))
    done = subprocess.run(
        ["sh", str(script), server],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("|")[:2] == ["serve", str(checkpoint)]
