"""Checkpoints with Python code of their own, which leaves a mark where it runs."""

import json
import shutil
from pathlib import Path

from mi_tui.paths import demo_pair_folder

CODE = """
from pathlib import Path
from transformers import Qwen3Config, Qwen3ForCausalLM

with Path({marker!r}).open("a") as marks:
    marks.write("{word}\\n")

class OwnConfig(Qwen3Config):
    pass

class OwnModel(Qwen3ForCausalLM):
    config_class = OwnConfig
"""


def plant_code(folder: Path, marker: Path, word: str = "ran") -> None:
    """Let a checkpoint be loaded by code that appends ``word`` to the marker file."""
    (folder / "own.py").write_text(CODE.format(marker=str(marker), word=word))
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config))


def planted_pair(folder: Path, marker: Path) -> tuple[Path, Path]:
    """A copy of the demo pair, of which both sides bring code."""
    sides = (folder / "instruct", folder / "thinking")
    for side in sides:
        shutil.copytree(demo_pair_folder() / side.name, side)
        plant_code(side, marker)
    return sides
