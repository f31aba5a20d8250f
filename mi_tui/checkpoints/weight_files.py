"""The weight files of a checkpoint, chosen as transformers chooses them.

transformers loads ``model.safetensors`` where there is one, else the shards that
``model.safetensors.index.json`` lists (``transformers.modeling_utils``,
``_get_resolved_checkpoint_files``). Whatever else lies in the directory is not the model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.json_files import read_json

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".ckpt")
_OTHER_FORMATS = ("consolidated", "adapter_", "optimizer", "training_", "rng_state", "scheduler")


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The files that hold the weights, out of a directory's file names.

    ``names`` are known only where no index lists them: then ``index`` is the index to read.
    ``rivals`` are other complete or partial sets in the same format, which another tool might
    take for the model; ``others`` are weights in other formats or folders. ``unlisted`` are files
    at the top that an index has to name to be part of the model.
    """

    names: tuple[str, ...]
    index: str | None
    rivals: tuple[str, ...]
    others: tuple[str, ...]
    unlisted: tuple[str, ...] = ()

    def beside(self, listed: Iterable[str]) -> tuple[str, ...]:
        """The rivals, once it is known which files the index names."""
        return tuple(sorted({*self.rivals, *self.unlisted} - set(listed)))


def choose_weight_files(names: Iterable[str]) -> WeightFiles:
    """Choose the weight files among the names of a checkpoint's files.

    Args:
        names: paths relative to the checkpoint's directory, with forward slashes.
    """
    present = sorted(set(names))
    weights = [name for name in present if name.endswith(_WEIGHTS)]
    top = [name for name in weights if name.endswith(".safetensors") and "/" not in name]
    candidates = [name for name in top if not name.startswith(_OTHER_FORMATS)]
    index = INDEX if INDEX in present and SINGLE not in present else None
    chosen = (SINGLE,) if SINGLE in present else () if index else tuple(candidates)
    rivals = [name for name in candidates if name not in chosen] if SINGLE in present else []
    if SINGLE in present and INDEX in present:
        rivals.append(INDEX)
    others = tuple(n for n in weights if n not in candidates)
    unlisted = tuple(candidates) if index else ()
    return WeightFiles(chosen, index, tuple(sorted(rivals)), others, unlisted)


def names_in(folder: Path) -> list[str]:
    """The files of a directory and its folders, relative to it, with forward slashes."""
    return [
        file.relative_to(folder).as_posix() for file in folder.glob("**/*") if not file.is_dir()
    ]


def index_names(folder: Path) -> list[str]:
    """The shards that a directory's index lists, in order; empty where there is no index.

    Raises:
        CheckpointError: the index cannot be read, or names a file outside the directory.
    """
    index = read_json(folder / INDEX)
    return [] if index is None else _index_names(folder, index)


def _index_names(folder: Path, index: Mapping[str, Any]) -> list[str]:
    table = index.get("weight_map")
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f"{folder / INDEX} has no weight_map: download it again")
    names = {str(name) for name in table.values()}
    for name in names:
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise CheckpointError(f"{folder / INDEX} names the file {name[:80]!r}: do not use it")
    return sorted(names)
