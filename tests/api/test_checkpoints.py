"""Check and merge without a study."""

import json
import shutil
from pathlib import Path

import pytest

from mi_tui.api.checkpoints import RecipeError, Report, check, merge
from mi_tui.checkpoints.compare import Finding
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.merging.manifest import verify
from mi_tui.resources import demo_pair_folder
from tests.cli.command import command

PAIR = ("bundled:instruct", "bundled:thinking")


def test_a_pair_that_fits() -> None:
    report = check(*PAIR)
    assert report.ok
    assert {"architecture", "memory", "disk"} <= {finding.subject for finding in report.findings}
    assert str(report).splitlines()[0].startswith("ok")
    assert repr(report).startswith("<Report: fits")


def test_a_pair_that_does_not_fit(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(demo_pair_folder() / "thinking", other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "hidden_size": 4096}))
    report = check(PAIR[0], other)
    assert not report.ok
    assert any(f.level == "error" and "4096" in f.message for f in report.findings)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        check(PAIR[0], tmp_path / "nowhere")


def test_a_report_is_shown_escaped() -> None:
    report = Report((Finding("error", "<b>", "<script>\x1b[2J"),))
    assert not report.ok
    assert "<script>" not in report._repr_html_()
    assert "<b>" not in report._repr_html_()
    assert "\x1b" not in str(report)


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
