"""The check of a pair."""

import json
import shutil
from pathlib import Path

import pytest

from mi_tui.api.checkpoints import Report, check
from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.paths import demo_pair_folder

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
