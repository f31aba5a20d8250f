"""A study of quantised checkpoints generates what their merged checkpoint does."""

from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.protocol import Request
from mi_tui.engines.transformers.load_report import load_reports
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json, quantise
from tests.engines.support import GREEDY, engine_for, generated, plain_model, prompts, run, with_end

SIDES = {"instruct": [0], "thinking": [1], "both": [0, 1], "left-over config": []}
RECIPES = [Recipe(lambda_=lambda_, decoding=GREEDY) for lambda_ in (0.0, 0.37, 1.0)]


@pytest.fixture(params=SIDES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, ...]:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    for side in SIDES[request.param]:
        quantise(paths[side], (8, 16))
    if not SIDES[request.param]:
        change_json(paths[1] / "config.json", quantization_config={"quant_method": "fp8"})
    return paths


def test_responses_are_those_of_the_merged_checkpoint(
    pair: tuple[Path, ...], tmp_path: Path
) -> None:
    questions = prompts(3, longest=20)
    requests = [
        Request(10 * at + number, recipe, prompt, 0, 16)
        for at, recipe in enumerate(RECIPES)
        for number, prompt in enumerate(questions)
    ]
    mixed, in_place = (run(engine_for(pair, mode), requests) for mode in ("one-pass", "in-place"))
    for at, recipe in enumerate(RECIPES):
        out = tmp_path / f"out-{at}"
        merge(recipe, Pair(instruct=str(pair[0]), thinking=str(pair[1])), out, dtype="float32")
        for number, prompt in enumerate(questions):
            expected = generated(plain_model(out), prompt, 16)
            assert with_end(mixed[10 * at + number]) == expected, recipe.label
            assert with_end(in_place[10 * at + number]) == expected, recipe.label


def test_transformers_finds_every_tensor_of_the_plain_view(pair: tuple[Path, ...]) -> None:
    reports = load_reports([inspect(locate(str(path))) for path in pair])
    assert all(report.is_clean and not report.unknown for report in reports)
