"""The lowest versions that pyproject.toml allows, as constraints for pip."""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest_versions(project: Path = PROJECT) -> list[str]:
    """One ``name==version`` for each dependency, at its lower bound.

    Raises:
        ValueError: a dependency has no lower bound.
    """
    dependencies = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [_lowest(Requirement(text)) for text in dependencies]


def _lowest(requirement: Requirement) -> str:
    bounds = [one.version for one in requirement.specifier if one.operator in (">=", "==", "~=")]
    if len(bounds) != 1:
        raise ValueError(f"{requirement} needs one lower bound: write NAME>=VERSION")
    return f"{requirement.name}=={bounds[0]}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest_versions()) + "\n")
