"""The model card: what the hub accepts, named after what was merged, and no markup of others."""

import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from hypothesis import given

from mi_tui.checkpoints.locate import Location
from mi_tui.checkpoints.merging.model_card import CurvePoint, StudyFacts, model_card
from mi_tui.checkpoints.merging.plan import MergePlan, Source, plan_merge, plan_weighted_sum
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation
from tests.checkpoints.families import tiny_pair
from tests.export.hostile import texts


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"), base=True)


@pytest.fixture
def merged(paths: tuple[Path, ...], tmp_path: Path) -> Path:
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
    merge(interpolation(0.55), pair, tmp_path / "out", shard_bytes=60_000)
    return tmp_path / "out"


def hub_plan(paths: tuple[Path, ...], out: Path) -> MergePlan:
    """The plan of a pair from the hub, without a hub."""
    plan = plan_merge(
        interpolation(0.55), Pair(instruct=str(paths[0]), thinking=str(paths[1])), out
    )
    sources = []
    for source, name in zip(plan.sources, ("owner/Instruct", "owner/Thinking"), strict=True):
        location = Location(name, source.info.location.path, name, "a" * 40)
        info = type(source.info)(
            location,
            source.info.config,
            source.info.generation_config,
            source.info.tokenizer,
            source.info.tensors,
            source.info.files,
        )
        sources.append(Source(source.role, info))
    fields = {field: getattr(plan, field) for field in plan.__slots__}
    return MergePlan(**fields | {"sources": tuple(sources), "donor": sources[1]})


def hub_metadata(text: str) -> dict[str, Any]:
    """A card's metadata as the hub's own library reads it."""
    data: Any = ModelCard(text).data
    return dict(data.to_dict())


def test_the_card_is_what_the_hub_accepts(paths: tuple[Path, ...], tmp_path: Path) -> None:
    study = StudyFacts(
        title="Maths · MI-0.55",
        recommendation="λ = 0.55 meets the budget with probability 0.97.",
        curve=(CurvePoint("MI-0.55", 0.8123, 1234.4, 0.98),),
        probes=("arithmetic",),
    )
    text = model_card(hub_plan(paths, tmp_path / "My-Merge"), study)
    metadata = hub_metadata(text)
    assert metadata["base_model"] == ["owner/Instruct", "owner/Thinking"]
    assert metadata["base_model_relation"] == "merge"
    assert {"merge", "mi-tui"} <= set(metadata["tags"])
    assert metadata["library_name"] == "transformers"
    assert "\n# Maths · MI-0.55\n" in text
    assert "`owner/Thinking@" + "a" * 40 in text
    assert "λ = 0.55 meets the budget" in text
    assert "| MI-0.55 | 81.2 % | 1,234 | 98.0 % |" in text


def test_the_card_of_local_checkpoints_names_no_directories(
    paths: tuple[Path, ...], merged: Path
) -> None:
    text = (merged / "README.md").read_text()
    assert "base_model" not in hub_metadata(text)
    assert str(paths[0].parent) not in text
    assert "| thinking | `thinking` |\n" in text


def test_a_card_names_the_parts_with_a_lambda_of_their_own(
    paths: tuple[Path, ...], tmp_path: Path
) -> None:
    rules = [
        {"lambda": 0.2, "layers": "0-1", "modules": ["ffn"]},
        {"lambda": 1, "modules": ["norms"]},
    ]
    recipe = Recipe.model_validate({"lambda": 0.55, "rules": rules})
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
    text = model_card(plan_merge(recipe, pair, tmp_path / "out"))
    assert "\n- λ = 0.2: layers 0–1 · FFN only\n- λ = 1: norms only\n" in text


def test_cards_of_baselines_and_sums(paths: tuple[Path, ...], tmp_path: Path) -> None:
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]), base=str(paths[2]))
    ties = plan_merge(Recipe(method="ties", scale=0.5, density=0.2), pair, tmp_path / "a")
    assert "A merge by ties (TIES): scale 0.5, density 0.2." in model_card(ties)
    weighted = [(str(path), weight) for path, weight in zip(paths, (0.5, 0.3, 0.2), strict=True)]
    text = model_card(plan_weighted_sum(weighted, tmp_path / "b"))
    assert "weighted sum of 3" in text
    assert "| checkpoint 2 | `thinking` | 0.3 |" in text


def test_a_card_is_named_after_recipe_and_pair(paths: tuple[Path, ...], merged: Path) -> None:
    assert "\n# MI-0.55 of instruct and thinking\n" in (merged / "README.md").read_text()


@given(text=texts)
def test_hostile_texts_add_nothing_to_a_card(text: str, paths: tuple[Path, ...]) -> None:
    plan = hub_plan(paths, Path("/out"))

    def lines(words: str) -> list[str]:
        curve = (CurvePoint(words, 0.8, 1234.4, 0.98),)
        facts = StudyFacts(title=words, recommendation=words, curve=curve, probes=(words,))
        return model_card(plan, facts).split("\n")

    card = lines(text)
    assert len(card) == len(lines("plain"))
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>]", "\n".join(card))
    assert sum(line.startswith("#") for line in card) == 2
    assert "\n".join(card).splitlines() == card[: len("\n".join(card).splitlines())]
