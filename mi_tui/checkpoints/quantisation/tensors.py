"""Quantised tensors as the plain ones that they stand for, and the registry of their formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.kernels.raw_bytes import Bytes
from mi_tui.registry import Registry

DTYPE = "BF16"
"""The dtype that quantised weights are read as."""


class Reader(Protocol):
    """Reads stored elements from files; safe from several threads."""

    def read(self, tensor: TensorInfo, start: int, count: int, buffer: Bytes) -> Bytes:
        """The bytes of ``count`` elements from element ``start``, in ``buffer``."""

    def kept(self, tensor: TensorInfo, start: int, count: int) -> Bytes:
        """The same, kept for this thread until it asks for other elements of the tensor."""


class Decoder(Protocol):
    """How a format's elements become numbers; frozen data, made from shapes alone."""

    def decode(
        self, reader: Reader, tensor: "QuantisedTensor", start: int, count: int, out: Bytes
    ) -> None:
        """Write ``count`` bfloat16 elements of the plain tensor, from ``start``, into ``out``."""


@dataclass(frozen=True, slots=True)
class QuantisedTensor(TensorInfo):
    """A tensor that is stored quantised; name, dtype, shape and size are those of the plain one.

    It lies nowhere in ``file``, which is the stored weight's: ``start`` and ``end`` are −1.
    """

    weight: TensorInfo
    scale: TensorInfo
    decoder: Decoder = field(repr=False)

    @property
    def nbytes(self) -> int:
        """The size in bytes of the plain tensor."""
        return 2 * self.count

    @property
    def stored(self) -> tuple[TensorInfo, ...]:
        """The tensors in files that this one is read from."""
        return (self.weight, self.scale)

    def read(self, reader: Reader, start: int, count: int, buffer: Bytes) -> Bytes:
        """The bytes of ``count`` bfloat16 elements from element ``start``, in ``buffer``."""
        out = buffer[: 2 * count]
        if count:
            self.decoder.decode(reader, self, start, count, out)
        return out


def quantised_tensor(
    name: str, shape: tuple[int, ...], weight: TensorInfo, scale: TensorInfo, decoder: Decoder
) -> QuantisedTensor:
    """The plain tensor of this name and shape that a weight and its scale stand for."""
    return QuantisedTensor(name, DTYPE, shape, weight.file, -1, -1, weight, scale, decoder)


@dataclass(frozen=True, slots=True)
class Found:
    """What a format finds among a checkpoint's stored tensors.

    ``tensors`` are the plain ones by the name of the weight that each takes the place of;
    ``dropped`` names the stored ones that are no tensors of the model (scales). ``words`` say
    what it is (``fp8 (block scales 128 × 128)``); ``problems`` what cannot be read.
    """

    tensors: Mapping[str, QuantisedTensor] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    words: str = ""
    problems: tuple[str, ...] = ()


class QuantisationFormat(Protocol):
    """A format of quantised weights; one module of ``formats`` declares one."""

    @property
    def name(self) -> str:
        """The name in words, such as ``fp8``."""

    @property
    def order(self) -> int:
        """The place in lists: lower first, then by name."""

    def find(self, stored: Mapping[str, TensorInfo], settings: Mapping[str, Any], /) -> Found:
        """The tensors of this format, from names, dtypes and shapes.

        Args:
            stored: all tensors in the files, by name.
            settings: the config's ``quantization_config``, empty where there is none.
        """


FORMATS: Registry[QuantisationFormat] = Registry(
    "mi_tui.checkpoints.quantisation.formats", "quantisation format"
)
"""All formats that can be read, by name."""
