"""The matrix of families: each built, checked, merged and studied in a process of its own.

``python -m tests.families.matrix [FAMILY …]`` prints a line for each family, and writes the table
of docs/checkpoints.md once there is a result for all of them; FAMILIES_OUT names a folder that
keeps results. The exit status is 1 when a response differs, or an engine is not as the check said.
"""

import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.transformers.model.meta_model import report_on
from tests.families.comparison import RECIPES, engine_outcome, references
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair

_PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"
_BEGIN, _END = "<!-- families: begin -->\n", "<!-- families: end -->\n"


def study_family(name: str, folder: Path) -> dict[str, Any]:
    """What the check says of a family, and what the engine does in both modes."""
    found: dict[str, Any] = {"family": name, "said": "", "note": "", "responses": 0, "failed": ""}
    try:
        sides = build_pair(CONFIGS[name](), folder)
        info = inspect(locate(str(sides[1])))
        tensors = {t.name: (t.dtype, t.shape) for t in info.tensors.values()}
        report = report_on(str(sides[1]), tensors, trust=False, code=False)
        found["said"] = report.engine
        found["loads"] = report.is_clean
        expected = references(sides, folder, RECIPES)
        for mode in ("in-place", "one-pass"):
            outcome = engine_outcome(sides, RECIPES, expected, mode)
            found[mode] = asdict(outcome)
            found["note"] = outcome.note
            found["responses"] += outcome.responses
    except Exception as error:
        found["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
    return found


def differing(found: dict[str, Any]) -> int:
    """How many responses were not those of the merged checkpoint."""
    return sum(found[mode]["differing"] for mode in ("in-place", "one-pass") if mode in found)


def as_said(found: dict[str, Any]) -> bool:
    """Whether the engine ran the pair the way that the check said."""
    said = str(found["said"])
    mixed = bool(found.get("one-pass", {}).get("mixes"))
    return mixed == said.startswith("one pass") and ("together" in said) == (
        "together" in str(found["note"])
    )


def is_right(found: dict[str, Any]) -> bool:
    """Whether all responses were equal, or the check refuses the family in one line."""
    refused = str(found["said"]).startswith("merge only")
    return refused or (not (found["failed"] or differing(found)) and as_said(found))


def _line(found: dict[str, Any]) -> str:
    if found["failed"]:
        words = found["failed"]
    else:
        equal = found["responses"] - differing(found)
        words = f"{equal} of {found['responses']} equal · {found['said']}"
        if not as_said(found):
            words += f" · BUT {found['note']}"
    return f"{'✓' if is_right(found) else '✗'} {found['family']:22} {words}"


def write_table(results: list[dict[str, Any]]) -> None:
    """Put what was seen into docs/checkpoints.md."""
    rows = ["| family | responses equal | `check` says |\n", "|---|---|---|\n"]
    for found in results:
        equal = f"{found['responses'] - differing(found)} of {found['responses']}"
        rows.append(
            f"| {found['family']} | {found['failed'] or equal} | {found['said'] or '—'} |\n"
        )
    text = _PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    _PAGE.write_text(before + _BEGIN + "".join(rows) + _END + after, encoding="utf-8")


def main(names: list[str]) -> int:
    """Study these families, or all; the exit status."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
    set_verbosity_error()  # type: ignore[no-untyped-call]
    out = Path(os.environ.get("FAMILIES_OUT") or tempfile.mkdtemp(prefix="families-"))
    out.mkdir(exist_ok=True)
    for name in names or CONFIGS:
        pid = os.fork()
        if not pid:
            with tempfile.TemporaryDirectory() as folder:
                found = study_family(name, Path(folder))
            (out / f"{name}.json").write_text(json.dumps(found, indent=1))
            print(_line(found), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
    paths = [out / f"{name}.json" for name in CONFIGS]
    results = [json.loads(path.read_text()) for path in paths if path.exists()]
    if len(results) == len(CONFIGS):
        write_table(results)
    return int(not all(map(is_right, results)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
