"""The constraints of make test-lowest, from the dependencies of the project."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/lowest_versions.py"


def test_every_dependency_is_held_at_its_lower_bound() -> None:
    said = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    found = said.stdout.splitlines()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = \[(.*?)^\]", project, re.M | re.S)
    assert len(found) == listed.count('"') // 2
    for line in found:
        name, version = line.split("==")
        assert f'"{name}>={version}' in listed


def test_a_dependency_without_a_lower_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["numpy<3"]\n')
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "lowest_versions.py"
    script.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    said = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "numpy<3 needs one lower bound" in said.stderr
