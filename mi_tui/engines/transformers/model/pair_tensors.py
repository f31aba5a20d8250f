"""The tensors of a pair in memory, Instruct's and Thinking's, by name."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mi_tui.checkpoints.merging.in_memory import TORCH_DTYPES, as_stored
from mi_tui.checkpoints.merging.plan import plan_merge
from mi_tui.checkpoints.roles import TensorRole, role_of
from mi_tui.engines.cache_size import cache_size
from mi_tui.engines.transformers.devices.layer_split import DeviceMap, device_map, split_layers
from mi_tui.engines.transformers.devices.memory import room_beside, sequences_that_fit
from mi_tui.engines.transformers.devices.placement import Placement, place_pair
from mi_tui.engines.transformers.model.merged_model import MergedModel, load_merged
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.scope import ModuleKind


@dataclass(frozen=True, slots=True)
class TensorPair:
    """One tensor of the model on both sides, of equal shape and dtype.

    ``role`` is that of the files' tensors it is made of. ``differs`` is false when both sides
    hold the same numbers: nothing to mix. ``stored`` are its dtypes in the files of both sides,
    and ``exported`` is that in a merged checkpoint; ``None`` where no file has the tensor.
    """

    name: str
    role: TensorRole
    instruct: Tensor
    thinking: Tensor
    differs: bool
    stored: frozenset[torch.dtype] = frozenset()
    exported: torch.dtype | None = None

    def delta(self) -> Tensor:
        """Thinking minus Instruct: computed in float32, rounded to the pair's dtype."""
        return (self.thinking.float() - self.instruct.float()).to(self.instruct.dtype)


class PairTensors:
    """Both models' tensors by parameter name: the merges at λ = 0 and at λ = 1, unrounded.

    So whatever a merge decides (the donor's config, the head, rows of padded vocabularies and of
    reused ids) holds here too. Loading through transformers gives every architecture's own names
    and layouts (experts stacked, tied heads tied), whatever the files look like. Tensors that are
    used as they are stored stay memory-mapped: they take no memory of their own, and the system
    reads them when a change of λ asks for them.
    """

    def __init__(
        self,
        instruct: MergedModel,
        thinking: MergedModel,
        device: torch.device,
        exported: Mapping[str, str] | None = None,
    ) -> None:
        self.dtype: torch.dtype = instruct.model.dtype
        self.device = device
        self._template = instruct.model
        self._map: DeviceMap = {}
        self._entries = {s.name: s for s in _paired(instruct, thinking, exported or {})}

    @classmethod
    def load(cls, pair: Pair, *, dtype: torch.dtype, device: torch.device) -> "PairTensors":
        """Read both checkpoints, each with the donor's config.

        Raises:
            CheckpointError: one of them cannot be read, or they do not fit together.
            EngineError: transformers cannot load one of them.
        """
        plans = [plan_merge(interpolation(lambda_), pair, Path()) for lambda_ in (0.0, 1.0)]
        exported = {tensor.name: tensor.dtype for tensor in plans[0].tensors}
        mine, other = (
            load_merged(as_stored(plan), dtype, trust_remote_code=pair.trust_remote_code)
            for plan in plans
        )
        return cls(mine, other, device, exported)

    def __iter__(self) -> Iterator[TensorPair]:
        return iter(self._entries.values())

    def __getitem__(self, name: str) -> TensorPair:
        return self._entries[name]

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self._template.config

    @property
    def export_dtype(self) -> torch.dtype:
        """The dtype that most weights of a merged checkpoint are in."""
        counts: Counter[torch.dtype] = Counter()
        for one in self:
            counts[one.exported or self.dtype] += one.instruct.numel()
        return counts.most_common(1)[0][0]

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

    def settle(self, *, one_pass: bool = True, longest: int = 0) -> Placement:
        """Bring both sides to the device where they fit; else pin them where the host holds both.

        Args:
            one_pass: whether one pass is wanted where it fits.
            longest: the tokens of the longest response with its prompt, for which room is left.

        Raises:
            EngineError: not even one model fits on the device.
        """
        room = room_beside(self.device)
        size = cache_size(self.config.get_text_config().to_dict(), self.dtype.itemsize)
        row = size.row(longest) if size and longest else 0
        placement = place_pair(self.bytes, str(self.device), room, one_pass=one_pass, row=row)
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
            self._entries[name] = replace(old, instruct=mine, thinking=theirs)
        return placement


def tensors_of(model: Any) -> dict[str, Tensor]:
    """Every tensor that a checkpoint holds, each once: parameters and persistent buffers."""
    named = {name: parameter.data for name, parameter in model.named_parameters()}
    stored = model.state_dict()
    for name, buffer in model.named_buffers():
        if name in stored:
            named[name] = buffer
    return named


def _paired(
    instruct: MergedModel, thinking: MergedModel, exported: Mapping[str, str]
) -> Iterator[TensorPair]:
    theirs = tensors_of(thinking.model)
    for name, tensor in tensors_of(instruct.model).items():
        other = theirs[name]
        made_of = (*instruct.sources.get(name, ()), *thinking.sources.get(name, ()))
        written = {TORCH_DTYPES[exported[s.name]] for s in made_of if s.name in exported}
        yield TensorPair(
            name,
            role_of(made_of[0].name if made_of else name),
            tensor,
            other,
            differs=not torch.equal(tensor, other),
            stored=frozenset(TORCH_DTYPES[plan.anchor.dtype] for plan in made_of),
            # Tensors that are stacked come out in the widest of their dtypes.
            exported=reduce(torch.promote_types, written) if written else None,
        )
