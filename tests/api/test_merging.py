"""Merges without a study."""

from pathlib import Path

import pytest

from mi_tui.api.merging import RecipeError, merge
from mi_tui.checkpoints.merging.manifest import verify
from tests.cli.command import command

PAIR = ("bundled:instruct", "bundled:thinking")


def test_a_merge_is_that_of_the_command(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    out = tmp_path / "ours"
    manifest = merge(*PAIR, 0.7, out, layers="1-2", modules=["ffn"], progress=tell)
    assert told[-1][0] == told[-1][1] > 0
    assert not [f for f in verify(tmp_path / "ours") if f.level == "error"]
    sides = ("--instruct", PAIR[0], "--thinking", PAIR[1])
    scope = ("--layers", "1-2", "--modules", "ffn")
    done = command("merge", *sides, "--lambda", "0.7", *scope, str(tmp_path / "theirs"))
    assert done.returncode == 0, done.stderr
    ours, theirs = (tmp_path / name / "model.safetensors" for name in ("ours", "theirs"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert [shard.name for shard in manifest.shards] == ["model.safetensors"]


def test_a_baseline_takes_the_parameters_of_its_method(tmp_path: Path) -> None:
    base = "bundled:base"
    merge(*PAIR, None, tmp_path / "ties", method="ties", base=base, scale=1.0, density=0.2)
    with pytest.raises(RecipeError, match="density"):
        merge(*PAIR, None, tmp_path / "no", method="ties", base=base, scale=1.0)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("lambda_", "options", "says"),
    [
        (1.5, {}, "lambda"),
        (None, {}, "lambda"),
        (0.5, {"layers": "9-x"}, "layers"),
        (0.5, {"modules": ["brain"]}, "brain|modules"),
        (0.5, {"colour": 1.0}, "colour"),
    ],
)
def test_what_makes_no_recipe_is_one_line(
    tmp_path: Path, lambda_: float | None, options: dict[str, object], says: str
) -> None:
    with pytest.raises(RecipeError, match=says) as raised:
        merge(*PAIR, lambda_, tmp_path / "no", **options)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "no").exists()
