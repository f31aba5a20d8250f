"""The pretended device: one dispatch mode through which every operation goes.

It refuses what CUDA refuses (tensors of two devices in one operation), counts launches, copies
between host and device and the times the host waits, and runs out of memory at a limit. It cannot
see kernels, their numerics, streams, CUDA graphs or fragmentation.
"""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from tests.pretended_cuda import kernels, rules
from tests.pretended_cuda.memory import Memory
from tests.pretended_cuda.tensor import HERE, CudaTensor, inner_of

_CPU = torch.device("cpu")


class MixedDevicesError(RuntimeError):
    """An operation met tensors of two devices, as CUDA would refuse it."""


class PretendedCuda(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
    """A CUDA device, or several, of which every use is counted.

    ``waits`` and ``copies`` are counted by what and where in mi_tui.
    """

    def __init__(self, limit: int = 80 << 30, cards: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memory = Memory(limit)
        self.cards = cards
        self.launches = 0
        self.waits: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.refused: list[str] = []
        self._off = 0
        self._exits = contextlib.ExitStack()

    def reset(self) -> None:
        """Count from zero; memory is counted on."""
        self.launches = 0
        self.waits.clear()
        self.copies.clear()

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """Compute on the CPU's values, uncounted."""
        self._off += 1
        try:
            yield
        finally:
            self._off -= 1

    def wait(self, what: str) -> None:
        """Count that the host waits for the device."""
        self.waits[f"{what} at {_where()}"] += 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        return self.run(func, args, kwargs or {})

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation under CUDA's rules."""
        name = func._schema.name.split("::")[1]
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        on_cuda = [t for t in tensors if isinstance(t, CudaTensor)]
        wanted = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        to_cuda = wanted is not None and wanted.type == "cuda"
        if self._off:
            return func(*tree_map(inner_of, args), **tree_map(inner_of, kwargs))
        if not on_cuda and not to_cuda:
            if name == "_pin_memory":
                return args[0]
            return False if name == "is_pinned" else func(*args, **kwargs)
        if on_cuda and name not in rules.CROSS_DEVICE:
            self._check_devices(name, args, tensors, on_cuda)
        if name in rules.WAITING:
            self.wait(name)
        self.launches += name not in rules.WITHOUT_LAUNCH
        card = (wanted.index or 0) if to_cuda and wanted else on_cuda[0].card
        return self._compute(func, name, args, kwargs, on_cuda, wanted, card)

    def _check_devices(
        self, name: str, args: tuple[Any, ...], tensors: list[Tensor], on_cuda: list[CudaTensor]
    ) -> None:
        host = [t for t in tensors if not isinstance(t, CudaTensor)]
        mixed = len({t.card for t in on_cuda}) > 1
        if name in rules.INDEXING:
            values = args[2] if name != "index" and len(args) > 2 else None
            mixed |= not isinstance(args[0], CudaTensor)
            mixed |= isinstance(values, Tensor) and values in host and values.dim() > 0
            if host:
                self.copies[f"to the device at {_where()}"] += 1
                self.wait("index from the host")
            if any(t.dtype in (torch.bool, torch.uint8) for t in args[1] if t is not None):
                self.wait("index by a mask")
        elif host:
            mixed |= name in rules.NO_HOST_SCALAR or any(t.dim() > 0 for t in host)
        if mixed:
            shown = ", ".join(f"{tuple(t.shape)} on {t.device}" for t in tensors)
            self.refused.append(f"{name}: {shown} at {_where()}")
            raise MixedDevicesError(f"expected one device, found two: {self.refused[-1]}")

    def _compute(
        self,
        func: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        on_cuda: list[CudaTensor],
        wanted: torch.device | None,
        card: int,
    ) -> Any:
        inner_args, inner_kwargs = tree_map(inner_of, args), tree_map(inner_of, kwargs)
        if wanted is not None:
            inner_kwargs["device"] = _CPU
        blocking = not kwargs.get("non_blocking") and not (
            name == "copy_" and len(args) > 2 and args[2]
        )
        with self.off():
            if name == "_varlen_attn":
                return tree_map(lambda t: CudaTensor(t, card), kernels.varlen(*inner_args))
            if name == "histc" and not inner_args[0].is_floating_point():
                # CUDA's takes integers, the CPU's does not.
                counted = func(inner_args[0].float(), *inner_args[1:], **inner_kwargs)
                return CudaTensor(counted.to(inner_args[0].dtype), card)
            out = func(*inner_args, **inner_kwargs)
        if name in ("_to_copy", "copy_"):
            other = args[1] if name == "copy_" else args[0]
            into = isinstance(args[0], CudaTensor) if name == "copy_" else wanted != _CPU
            if wanted is None and name == "_to_copy":
                into = isinstance(other, CudaTensor)
            if into != isinstance(other, CudaTensor):
                way = "to the device" if into else "to the host"
                self.copies[f"{way} at {_where()}"] += 1
                if blocking:
                    self.wait(f"copy {way}")
                if name == "_to_copy" and out is inner_args[0]:
                    out = out.clone()
            if name == "copy_":
                return args[0]
        if wanted == _CPU:
            return out
        known = {id(t.inner): t for t in on_cuda}

        def wrapped(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            same = known.get(id(value))
            return (
                same if same is not None and same.shape == value.shape else CudaTensor(value, card)
            )

        return tree_map(wrapped, out)

    def __enter__(self) -> Any:
        HERE.append(self)
        self._exits = contextlib.ExitStack()
        for name, value in _answers(self).items():
            self._exits.enter_context(patch.object(torch.cuda, name, value))
        self._exits.enter_context(patch.object(nn.Module, "to", _module_to))
        self._exits.enter_context(patch.object(Tensor, "pin_memory", _pinned))
        self._exits.enter_context(_Functions())
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._exits.close()
        HERE.pop()


class _Functions(TorchFunctionMode):
    """What torch settles before operations are dispatched: device names, lists as indices, SDPA."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        kwargs = dict(kwargs or {})
        if func is Tensor.to or "device" in kwargs:
            args = tuple(_numbered(value) for value in args)
            kwargs = {key: _numbered(value) for key, value in kwargs.items()}
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], CudaTensor):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            index = tuple(
                torch.tensor(at).to(args[0].device) if isinstance(at, list) else at for at in index
            )
            args = (args[0], index if isinstance(args[1], tuple) else index[0], *args[2:])
        if func in (torch.tensor, torch.as_tensor) and "cuda" in str(kwargs.get("device")):
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is nn.functional.scaled_dot_product_attention:
            return _attention(func, args, kwargs)
        return func(*args, **kwargs)


def _attention(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """torch chooses the kernel by the device in C++: computed on the CPU's values instead."""
    tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
    if not any(isinstance(t, CudaTensor) for t in tensors):
        return func(*args, **kwargs)
    here = HERE[-1]
    if len({t.device for t in tensors}) > 1:
        here.refused.append("scaled_dot_product_attention over several devices")
        raise MixedDevicesError(here.refused[-1])
    here.launches += 1
    with here.off():
        out = func(*tree_map(inner_of, args), **tree_map(inner_of, kwargs))
    card = next(t.card for t in tensors if isinstance(t, CudaTensor))
    return CudaTensor(out, card)


def _numbered(value: Any) -> Any:
    """torch would ask the missing CUDA for the number of the current device."""
    if isinstance(value, str | torch.device) and str(value) == "cuda":
        return torch.device("cuda", 0)
    return value


def _where() -> str:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        _, found, module = frame.f_code.co_filename.rpartition("/mi_tui/")
        if found:
            return f"{module}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


def _answers(device: PretendedCuda) -> dict[str, Any]:
    """What ``torch.cuda`` says of the device."""
    memory = device.memory
    properties = SimpleNamespace(
        total_memory=memory.limit, major=9, minor=0, name="Pretended", is_integrated=False
    )
    return {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: device.cards,
        "current_device": lambda: 0,
        "mem_get_info": lambda _=None: (memory.free, memory.limit),
        "memory_reserved": lambda _=None: 0,
        "memory_allocated": lambda _=None: 0,
        "max_memory_allocated": lambda _=None: memory.peak,
        "reset_peak_memory_stats": lambda _=None: None,
        "empty_cache": lambda: None,
        "synchronize": lambda _=None: None,
        "get_device_name": lambda _=None: "Pretended",
        "is_bf16_supported": lambda including_emulation=True: including_emulation or True,
        "get_device_capability": lambda _=None: (9, 0),
        "get_device_properties": lambda _=None: properties,
        "is_current_stream_capturing": lambda: False,
        "current_stream": lambda _=None: SimpleNamespace(
            record_event=lambda: _Event(device, device.launches)
        ),
    }


@dataclass(frozen=True)
class _Event:
    """A moment in what a device was given to do."""

    device: PretendedCuda
    launches: int

    def synchronize(self) -> None:
        """The host waits, unless it has given the device something to do in the meantime."""
        if self.device.launches == self.launches:
            self.device.wait("event")


def _module_to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    """As torch's own: each parameter once, ties kept."""
    parsed: Any = torch._C._nn._parse_to
    device = parsed(*map(_numbered, args), **kwargs)[0]
    moved: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                if id(parameter) not in moved:
                    new = nn.Parameter(parameter.detach().to(device), parameter.requires_grad)
                    moved[id(parameter)] = new
                part._parameters[name] = moved[id(parameter)]
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = buffer.to(device)
    return module


def _pinned(tensor: Tensor, *_: Any) -> Tensor:
    if isinstance(tensor, CudaTensor):
        raise RuntimeError("only dense CPU tensors can be pinned")
    return tensor.clone()
