"""The matrix of families: each built, merged, checked and studied in a process of its own.

``python -m tests.families.matrix [FAMILY …]`` prints a line for each family.
"""

import json
import os
import sys
import tempfile
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers.utils.logging import disable_progress_bar

from tests.families.comparison import RECIPES, engine_outcome, references
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair


def study_family(name: str, folder: Path) -> dict[str, Any]:
    """All that is found out about a family."""
    found: dict[str, Any] = {"family": name}
    try:
        sides = build_pair(CONFIGS[name](), folder)
        expected = references(sides, folder, RECIPES)
        found["varied"] = min(len(set(one.tokens)) for one in expected)
    except Exception as error:
        found["failed"] = _words(error)
        return found
    for mode in ("in-place", "one-pass"):
        try:
            found[mode] = asdict(engine_outcome(sides, RECIPES, expected, mode))
        except Exception as error:
            found[mode] = {"failed": _words(error), "trace": traceback.format_exc()[-1500:]}
    return found


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


def _line(found: dict[str, Any]) -> str:
    words = [f"{found['family']:22}"]
    if "failed" in found:
        return f"{words[0]}{found['failed']}"
    for mode in ("in-place", "one-pass"):
        one = found[mode]
        if "failed" in one:
            words.append(f"{mode}: {one['failed'][:150]}")
        else:
            equal = one["responses"] - one["differing"]
            way = (
                ""
                if mode == "in-place"
                else (" mixed" if one["mixes"] else f" NOT MIXED ({one['note'][-110:]})")
            )
            words.append(f"{mode}: {equal}/{one['responses']}{way} {one['check'][:40]}")
    return " | ".join(words)


def main(names: list[str]) -> None:
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
    out = Path(os.environ.get("FAMILIES_OUT") or tempfile.mkdtemp(prefix="families-"))
    for name in names or CONFIGS:
        pid = os.fork()
        if not pid:
            with tempfile.TemporaryDirectory() as folder:
                found = study_family(name, Path(folder))
            out.mkdir(exist_ok=True)
            (out / f"{name}.json").write_text(json.dumps(found, indent=1))
            print(_line(found), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
