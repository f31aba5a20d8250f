"""The description of a checkpoint, from headers and JSON files alone."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mi_tui.checkpoints.errors import CheckpointError, HeaderError
from mi_tui.checkpoints.headers import TensorInfo, read_header, same_bytes
from mi_tui.checkpoints.json_files import read_json
from mi_tui.checkpoints.locate import Location
from mi_tui.checkpoints.quantisation.view import plain_view
from mi_tui.checkpoints.remote import remote_headers
from mi_tui.checkpoints.roles import embedding_name, head_name, role_of
from mi_tui.checkpoints.tokenizer import TokenizerInfo, read_tokenizer
from mi_tui.checkpoints.weight_files import (
    INDEX,
    SINGLE,
    WeightFiles,
    choose_weight_files,
    index_names,
    names_in,
)
from mi_tui.plan.recipe import Recipe
from mi_tui.text.plurals import counted

MOST_LAYERS = 10_000
"""Many times the layers of any model."""

HEAD_NAME = "lm_head.weight"
"""What a head is called that no checkpoint stores."""

Head = Literal["tied", "own", "stored-but-different"]
"""What a checkpoint's head is: the embedding; weights of its own, as the config says; or weights
of its own that are stored though the config says that the head is tied."""


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A checkpoint as its headers and JSON files describe it.

    ``problems`` lists in words what makes the weights unusable (missing, damaged or truncated
    shards); a checkpoint with problems can be shown and compared, but not mixed. ``rivals`` are
    files of another set of weights in the same format, ``others`` weights in other formats:
    neither is the model. ``head_differs``: a head is stored that is not the embedding.

    ``tensors`` are the model's: weights that are stored quantised are read as bfloat16, and their
    scales are no tensors of it; ``stored`` are those in the files. ``dequantised`` says what is
    read so. ``left_over_quantisation`` is the method that config.json names over plain weights.
    In both cases ``config`` is without it. ``quantisation`` is a method that cannot be read.
    """

    location: Location
    config: Mapping[str, Any] = field(repr=False)
    generation_config: Mapping[str, Any] | None = field(repr=False)
    tokenizer: TokenizerInfo = field(repr=False)
    tensors: Mapping[str, TensorInfo] = field(repr=False)
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    stored: Mapping[str, TensorInfo] = field(default_factory=dict, repr=False)
    dequantised: str = ""
    left_over_quantisation: str = ""
    quantisation: str | None = None
    head_differs: bool = False

    @property
    def text_config(self) -> Mapping[str, Any]:
        """The part of the config that describes the language model."""
        nested = self.config.get("text_config")
        return nested if isinstance(nested, dict) else self.config

    @property
    def architecture(self) -> str:
        """The class named in the config, such as ``Qwen3ForCausalLM``."""
        listed = self.config.get("architectures")
        return str(listed[0]) if isinstance(listed, list) and listed else "unknown"

    @property
    def model_type(self) -> str:
        """The config's model type, such as ``qwen3``."""
        return str(self.config.get("model_type", "unknown"))

    @property
    def layers(self) -> int:
        """The number of decoder layers: as the tensors say, else as the config says."""
        found = [layer for name in self.tensors if (layer := role_of(name).layer) is not None]
        declared = self.text_config.get("num_hidden_layers")
        return max(found) + 1 if found else declared if isinstance(declared, int) else 0

    @property
    def says_untied(self) -> bool:
        """Whether the config says in words that the head has weights of its own."""
        return self._tie_setting is False

    @property
    def says_nothing_of_tying(self) -> bool:
        """Whether the config leaves it to the family whether the head is tied."""
        return self._tie_setting is None

    @property
    def says_tied(self) -> bool:
        """Whether the head shares the embedding's weights, as the config says."""
        return _says_tied(self._tie_setting, self.tensors)

    @property
    def head(self) -> Head:
        """What the head is; transformers 5 takes a stored head, whatever the config says."""
        if not self.says_tied:
            return "own"
        return "stored-but-different" if self.head_differs else "tied"

    @property
    def is_tied(self) -> bool:
        """Whether the head is the embedding, so that it need not be stored."""
        return self.head == "tied"

    @property
    def _tie_setting(self) -> bool | None:
        return _tie_setting(self.config)

    @property
    def embedding(self) -> TensorInfo | None:
        """The token embedding, where it goes by a usual name."""
        name = embedding_name(self.tensors)
        return None if name is None else self.tensors[name]

    @property
    def stored_head(self) -> TensorInfo | None:
        """The head, where it is stored."""
        name = head_name(self.tensors)
        return None if name is None else self.tensors[name]

    @property
    def parameters(self) -> int:
        """The number of stored elements."""
        return sum(tensor.count for tensor in self.tensors.values())

    @property
    def nbytes(self) -> int:
        """The size of all tensors in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def dtypes(self) -> Mapping[str, int]:
        """The number of elements of each dtype, the most frequent first."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors.values():
            counts[tensor.dtype] += tensor.count
        return dict(counts.most_common())

    @property
    def is_as_transformers_looks_for(self) -> bool:
        """Whether its weights are in one file of the usual name, or are listed by an index."""
        single = [file.name for file in self.files] == [SINGLE]
        return single or (self.location.path / INDEX).is_file()

    @property
    def needs_remote_code(self) -> bool:
        """Whether transformers would run Python code from the checkpoint to load it."""
        return bool(self.config.get("auto_map"))

    @property
    def header_sha256(self) -> str:
        """The digest of all tensors' names, dtypes, shapes and places."""
        digest = hashlib.sha256()
        for tensor in sorted(
            (self.stored or self.tensors).values(), key=lambda t: (t.file.name, t.start)
        ):
            line = (tensor.name, tensor.dtype, tensor.shape, tensor.file.name, tensor.start)
            digest.update(repr(line).encode())
        return digest.hexdigest()

    def __str__(self) -> str:
        return str(self.location)


def inspect(location: Location) -> CheckpointInfo:
    """Read a checkpoint's JSON files and headers; over the network where only those are local.

    Raises:
        CheckpointError: there is no config.json or no safetensors file, or a JSON file cannot
            be read. Damaged weights do not raise: they are listed in ``problems``.
    """
    folder = location.path
    config = read_json(folder / "config.json")
    if config is None:
        raise CheckpointError(f"{location.reference} is no checkpoint: it has no config.json")
    found = choose_weight_files(names_in(folder))
    if location.has_weights or _is_complete(folder, found):
        files, stored, problems = _local_headers(location, found)
    else:
        files, stored, problems = remote_headers(location)
    _require_layers(location, config)
    view = plain_view(config, stored)
    return CheckpointInfo(
        location=location,
        config=view.config,
        generation_config=read_json(folder / "generation_config.json"),
        tokenizer=read_tokenizer(folder),
        tensors=view.tensors,
        files=tuple(files),
        problems=(*problems, *view.problems),
        rivals=found.beside(file.name for file in files),
        others=found.others,
        stored=stored,
        dequantised=view.dequantised,
        left_over_quantisation=view.left_over,
        quantisation=view.refused or None,
        head_differs=_head_differs(view.config, view.tensors),
    )


def _require_layers(location: Location, config: Mapping[str, Any]) -> None:
    """Refuse a number of layers that no model has: lists of them would be endless.

    Raises:
        CheckpointError: config.json names one.
    """
    for part in (config, config.get("text_config")):
        layers = part.get("num_hidden_layers") if isinstance(part, Mapping) else None
        if isinstance(layers, int) and layers > MOST_LAYERS:
            said = f"{layers:,}" if layers < 10**15 else "very many"
            raise CheckpointError(
                f"{location.reference}: config.json says {said} layers, and at most "
                f"{MOST_LAYERS:,} are read: take the config.json that belongs to the weights"
            )


def _tie_setting(config: Mapping[str, Any]) -> bool | None:
    for part in (config, config.get("text_config")):
        if isinstance(part, dict) and "tie_word_embeddings" in part:
            return bool(part["tie_word_embeddings"])
    return None


def _says_tied(setting: bool | None, tensors: Mapping[str, TensorInfo]) -> bool:
    # transformers' default is tied; a stored head without a word on it is taken as meant.
    return head_name(tensors) is None if setting is None else setting


def _head_differs(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether a head is stored beside a tied flag and is not the embedding, byte for byte.

    Where the weights are not here yet, it is taken for the embedding.
    """
    head, embedding = head_name(tensors), embedding_name(tensors)
    if head is None or embedding is None or not _says_tied(_tie_setting(config), tensors):
        return False
    return same_bytes(tensors[head], tensors[embedding]) is False


def _is_complete(folder: Path, found: WeightFiles) -> bool:
    """Whether the cache has all weights, though only the companion files were asked for."""
    names = found.names if found.index is None else index_names(folder)
    return bool(names) and all((folder / name).is_file() for name in names)


def _local_headers(
    location: Location, found: WeightFiles
) -> tuple[list[Path], dict[str, TensorInfo], list[str]]:
    files, problems = _weight_files(location, found)
    tensors, damage = _read_all(files)
    problems += damage
    if found.index and not problems:
        problems = _stale_index(location.path, tensors)
    return files, tensors, problems


def _weight_files(location: Location, found: WeightFiles) -> tuple[list[Path], list[str]]:
    """The files with weights, and what is wrong with the list of them."""
    folder = location.path
    if found.index is not None:
        names = index_names(folder)
        missing = [name for name in names if not (folder / name).is_file()]
        problems = [f"shard {name} is missing: download it again" for name in missing]
        return [folder / name for name in names if name not in missing], problems
    if found.names:
        return [folder / name for name in found.names], []
    if any(name.endswith(".gguf") for name in found.others):
        raise CheckpointError(
            f"{location.reference} has only GGUF weights: take the safetensors checkpoint that "
            "they were made from"
        )
    if ours := [name for name in found.others if name.endswith(".safetensors")]:
        what = "an adapter" if any(n.startswith("adapter_") for n in ours) else ", ".join(ours[:2])
        raise CheckpointError(
            f"{location.reference} has only {what}, which transformers does not load as a model: "
            "take the checkpoint with model.safetensors, or merge the adapter into its base model"
        )
    if any(name.endswith((".bin", ".pt", ".pth")) for name in found.others):
        raise CheckpointError(
            f"{location.reference} has only pickled weights, which can run code when opened: "
            "convert it to safetensors"
        )
    raise CheckpointError(f"{location.reference} has no safetensors files: download it again")


def _read_all(files: Iterable[Path]) -> tuple[dict[str, TensorInfo], list[str]]:
    tensors: dict[str, TensorInfo] = {}
    problems = []
    for file in files:
        try:
            header = read_header(file)
        except HeaderError as error:
            problems.append(str(error))
            continue
        problems += [f"tensor {n} is in two shards" for n in header if n in tensors]
        tensors.update(header)
    return tensors, problems


def _stale_index(folder: Path, tensors: Mapping[str, TensorInfo]) -> list[str]:
    """Whether the index names tensors that its files do not have."""
    index = read_json(folder / INDEX)
    if index is None:
        return []
    missing = [name for name in index["weight_map"] if name not in tensors]
    if not missing:
        return []
    return [
        f"{INDEX} lists {counted(len(missing), 'tensor')} that no shard has, such as {missing[0]}"
    ]


def require_layers(recipe: Recipe, info: CheckpointInfo) -> None:
    """Refuse a scope or a rule beyond the last layer.

    Raises:
        CheckpointError: a layer range ends behind the checkpoint's last layer.
    """
    ranges = [*recipe.scope.layers, *(r for rule in recipe.rules for r in rule.layers)]
    for layers in ranges:
        if layers.last >= info.layers:
            raise CheckpointError(
                f"{recipe.label}: layers {layers} are not all in {info.location}, "
                f"which has layers 0-{info.layers - 1}"
            )
