"""Tensors beside the decoder that a checkpoint may have or lack: prediction layers, buffers.

Extra prediction layers (``mtp.*``, or layers behind ``num_hidden_layers`` as DeepSeek-V3 and GLM
store them) draft tokens and do not change what the model says; ``rotary_emb.inv_freq`` follows
from the config. One side may lack them: the merged checkpoint has what the donor has, or is
written without prediction layers.
"""

from collections.abc import Mapping
from typing import Any

from mi_tui.checkpoints.roles import names_prediction, role_of

PREDICTION_KEYS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
"""The keys with which configs say how many prediction layers there are."""


def is_extra(name: str, text_config: Mapping[str, Any]) -> bool:
    """Whether a model says the same without this tensor.

    Args:
        name: the tensor's, in the file.
        text_config: the language model's part of the config.
    """
    is_buffer = name.split(".")[-2:] == ["rotary_emb", "inv_freq"]
    return is_buffer or is_prediction(name, text_config)


def is_prediction(name: str, text_config: Mapping[str, Any]) -> bool:
    """Whether a tensor belongs to a layer that predicts further tokens.

    Args:
        name: the tensor's, in the file.
        text_config: the language model's part of the config.
    """
    if names_prediction(name.split(".")):
        return True
    layers, layer = text_config.get("num_hidden_layers"), role_of(name).layer
    return isinstance(layers, int) and layer is not None and layer >= layers
