"""A tensor that calls itself CUDA's and holds its values on the CPU."""

from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tests.pretended_cuda.device import PretendedCuda

HERE: "list[PretendedCuda]" = []
"""The pretended device in use, if any."""


_Tensor: Any = Tensor
"""Its types leave no room for a wrapper."""


class CudaTensor(_Tensor):  # type: ignore[misc]
    """``inner`` holds the values, ``card`` is the number of the device it claims to be on."""

    inner: Tensor
    card: int

    @staticmethod
    def __new__(cls: Any, inner: Tensor, card: int = 0) -> Any:
        wrapper = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=torch.device("cuda", card),
            requires_grad=False,
        )
        wrapper.inner, wrapper.card = inner, card
        HERE[-1].memory.take(inner)
        return wrapper

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        return HERE[-1].run(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:
        return f"CudaTensor({tuple(self.shape)}, {self.dtype}, {self.device})"

    def tolist(self) -> Any:
        """As torch does: copied to the host first."""
        return self.cpu().tolist()

    def numpy(self, *_: Any, **__: Any) -> NoReturn:
        """Refused, as torch refuses it."""
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.numpy()

    def data_ptr(self) -> int:
        """Where the values are."""
        pointer: int = self.inner.data_ptr()
        return pointer

    @property
    def is_cuda(self) -> bool:
        """True, it says."""
        return True

    @property
    def data(self) -> Any:
        """The same values."""
        return CudaTensor(self.inner.detach(), self.card)

    @data.setter
    def data(self, value: Tensor) -> None:
        assert isinstance(value, CudaTensor)
        assert value.shape == self.shape
        self.inner = value.inner

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            new: Tensor = self.detach().clone()
            if isinstance(self, torch.nn.Parameter):
                new = torch.nn.Parameter(new, requires_grad=self.requires_grad)
            memo[id(self)] = new
        return memo[id(self)]


def inner_of(value: Any) -> Any:
    """The CPU's tensor of a pretended one; anything else as it is."""
    return value.inner if isinstance(value, CudaTensor) else value
