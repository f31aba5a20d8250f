"""mxfp4: experts in four bits, 32 numbers to a scale that is a power of two (gpt-oss).

Source: transformers, ``integrations/mxfp4.py`` (``convert_moe_packed_tensors``); the OCP
Microscaling Formats specification, version 1.0.
"""

from collections.abc import Mapping
from typing import Any

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.kernels.raw_bytes import Bytes
from mi_tui.checkpoints.quantisation.layouts import PackedLayout
from mi_tui.checkpoints.quantisation.tensors import (
    FORMATS,
    Found,
    QuantisedTensor,
    Reader,
    quantised_tensor,
)

_BLOCKS, _SCALES = "_blocks", "_scales"


class PackedExperts(PackedLayout):
    """A layout of experts that reads the numbers behind it."""

    __slots__ = ()

    def decode(
        self, reader: Reader, tensor: QuantisedTensor, start: int, count: int, out: Bytes
    ) -> None:
        """As :meth:`mi_tui.checkpoints.quantisation.tensors.Decoder.decode`."""
        from mi_tui.checkpoints.quantisation.arithmetic import decode_experts  # It needs NumPy.

        decode_experts(self, reader, tensor, start, count, out)


class Mxfp4:
    """Pairs of ``NAME_blocks`` and ``NAME_scales``, read as ``NAME``."""

    name = "mxfp4"
    order = 20

    def find(self, stored: Mapping[str, TensorInfo], _settings: Mapping[str, Any]) -> Found:
        """As :meth:`mi_tui.checkpoints.quantisation.tensors.QuantisationFormat.find`."""
        tensors, dropped, problems = {}, set[str](), []
        for name, blocks in stored.items():
            plain = name.removesuffix(_BLOCKS)
            scales = stored.get(plain + _SCALES)
            if plain == name or scales is None or blocks.dtype != "U8":
                continue
            if len(blocks.shape) != 4 or scales.shape != blocks.shape[:3] or scales.dtype != "U8":
                problems.append(
                    f"{scales.name} ({scales.dtype}, {list(scales.shape)}) does not belong to "
                    f"{name} {list(blocks.shape)}: take the bf16 checkpoint"
                )
                continue
            experts, rows, groups, size = blocks.shape
            shape = (experts, groups * size * 2, rows)
            decoder = PackedExperts(rows, groups, size)
            tensors[name] = quantised_tensor(plain, shape, blocks, scales, decoder)
            dropped.add(scales.name)
        return Found(tensors, frozenset(dropped), "mxfp4" if tensors else "", tuple(problems))


FORMATS.register(Mxfp4())
