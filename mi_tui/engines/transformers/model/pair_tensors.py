"""The tensors of a pair in memory, Instruct's and Thinking's, by name."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig
from transformers.utils.logging import disable_progress_bar

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.in_memory import plain_tensors
from mi_tui.checkpoints.roles import TensorRole, role_of
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.layer_split import DeviceMap, device_map, split_layers
from mi_tui.engines.transformers.devices.memory import room_beside, sequences_that_fit
from mi_tui.engines.transformers.devices.placement import Placement, place_pair
from mi_tui.engines.transformers.model.attention import ATTENTION
from mi_tui.engines.transformers.model.meta_model import (
    UnknownModelError,
    forget_quantisation,
    model_class,
)
from mi_tui.plan.scope import ModuleKind


@dataclass(frozen=True, slots=True)
class TensorPair:
    """One tensor of the model on both sides, of equal shape and dtype.

    ``differs`` is false when both sides hold the same numbers: nothing to mix.
    """

    name: str
    role: TensorRole
    instruct: Tensor
    thinking: Tensor
    differs: bool

    def delta(self) -> Tensor:
        """Thinking minus Instruct: computed in float32, rounded to the pair's dtype."""
        return (self.thinking.float() - self.instruct.float()).to(self.instruct.dtype)


class PairTensors:
    """Both models' tensors by parameter name.

    Loading through transformers gives every architecture's own names and layouts (experts
    stacked, tied heads tied), whatever the files look like. Tensors that are used as they are
    stored stay memory-mapped: they take no memory of their own, and the system reads them when a
    change of λ asks for them.
    """

    def __init__(
        self,
        instruct: Any,
        thinking: Any,
        device: torch.device,
        where: str = "the pair",
        export_dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype: torch.dtype = instruct.dtype
        self.export_dtype = export_dtype or self.dtype
        self.device = device
        self._template = instruct
        self._map: DeviceMap = {}
        self._entries = {s.name: s for s in _paired(instruct, thinking, where)}

    @classmethod
    def load(
        cls,
        instruct: Path,
        thinking: Path,
        *,
        dtype: torch.dtype,
        device: torch.device,
        trust_remote_code: bool = False,
        export_dtype: torch.dtype | None = None,
    ) -> "PairTensors":
        """Read both checkpoints.

        ``export_dtype`` is the dtype of a merged checkpoint (default: ``dtype``).

        Raises:
            EngineError: transformers cannot load one of them, or they do not fit together.
        """
        mine = load_model(instruct, dtype, trust_remote_code)
        other = load_model(thinking, dtype, trust_remote_code)
        return cls(mine, other, device, str(thinking), export_dtype)

    def __iter__(self) -> Iterator[TensorPair]:
        return iter(self._entries.values())

    def __getitem__(self, name: str) -> TensorPair:
        return self._entries[name]

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self._template.config

    @property
    def vocabulary(self) -> int:
        """How many token ids the model knows."""
        return int(self.config.get_text_config().vocab_size)

    @property
    def bytes(self) -> int:
        """The size of one side in bytes."""
        return sum(s.instruct.nbytes for s in self)

    def sequences_that_fit(self) -> int:
        """How many sequences the device's memory allows at once."""
        return sequences_that_fit(self.config, self.dtype, self.device, model_bytes=self.bytes)

    def model(self) -> Any:
        """A model of its own memory on the device or devices, with Instruct's weights."""
        model = copy.deepcopy(self._template)
        return split_layers(model, self._map) if self._map else model.to(self.device)

    def kind_of(self, name: str) -> ModuleKind | None:
        """The module kind of a tensor; ``None`` where both sides hold the same numbers.

        A head that is tied to the embeddings has no tensor of its own, and is taken for the same.
        """
        found = self._entries.get(name)
        return found.role.kind if found is not None and found.differs else None

    def instruct(self) -> Iterator[tuple[str, Tensor]]:
        """Instruct's parameters by name, the very objects that :meth:`view` shares."""
        parameters: Iterator[tuple[str, Tensor]] = self._template.named_parameters()
        return parameters

    def view(self) -> Any:
        """A model that shares Instruct's tensors: never write to its weights."""
        shared: dict[int, Any] = {id(p): p for p in self._template.parameters()}
        return copy.deepcopy(self._template, shared)

    def settle(self, *, one_pass: bool = True) -> Placement:
        """Bring both sides to the device where they fit; else pin them where the host holds both.

        Args:
            one_pass: whether one pass is wanted where it fits.

        Raises:
            EngineError: not even one model fits on the device.
        """
        room = room_beside(self.device)
        placement = place_pair(self.bytes, str(self.device), room, one_pass=one_pass)
        if self.device.type == "cpu":
            return placement
        if placement.gpus > 1:
            self._map = device_map(self._template, room.gpus)
        if placement.pair_tensors:
            self._template.to(self.device)
        for name, mine in tensors_of(self._template).items():
            old = self._entries[name]
            theirs = old.thinking.to(self.device) if placement.pair_tensors else old.thinking
            if placement.pinned and self.device.type == "cuda":
                mine, theirs = mine.pin_memory(), theirs.pin_memory()
            self._entries[name] = TensorPair(name, old.role, mine, theirs, old.differs)
        return placement


def load_model(path: Path, dtype: torch.dtype, trust_remote_code: bool = False) -> Any:
    """A causal language model on the CPU, for evaluation only.

    Raises:
        CheckpointError: its files cannot be read.
        EngineError: transformers cannot load it.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers gives it no types
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
        info = inspect(locate(str(path)))
        forget_quantisation(config)
        # What is quantised is read as a merge reads it: transformers' own way needs some GPUs.
        plain = dict(plain_tensors(info)) if info.dequantised else None
        model: Any = model_class(config).from_pretrained(
            path if plain is None else None,
            config=config,
            state_dict=plain,
            dtype=dtype,
            attn_implementation=ATTENTION,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, UnknownModelError) as error:
        raise EngineError(f"{path}: transformers cannot load the model: {error}") from error
    model.eval()
    model.requires_grad_(False)
    return model


def tensors_of(model: Any) -> dict[str, Tensor]:
    """Every tensor that a checkpoint holds, each once: parameters and persistent buffers."""
    named = {name: parameter.data for name, parameter in model.named_parameters()}
    stored = model.state_dict()
    for name, buffer in model.named_buffers():
        if name in stored:
            named[name] = buffer
    return named


def _paired(instruct: Any, thinking: Any, where: str) -> Iterator[TensorPair]:
    mine, theirs = tensors_of(instruct), tensors_of(thinking)
    if unshared := sorted(mine.keys() ^ theirs.keys()):
        raise EngineError(f"{where}: only one of the two models has {unshared[0]}")
    for name, tensor in mine.items():
        other = theirs[name]
        if tensor.shape != other.shape:
            raise EngineError(
                f"{where}: {name} has shape {tuple(other.shape)}, "
                f"and {tuple(tensor.shape)} in the Instruct model"
            )
        yield TensorPair(name, role_of(name), tensor, other, not torch.equal(tensor, other))
