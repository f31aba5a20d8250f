"""Made-up machines, and checkpoints of which there are only sizes and configs."""

from dataclasses import replace
from pathlib import Path

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.checkpoints.locate import Location
from mi_tui.checkpoints.tokenizer import TokenizerInfo
from mi_tui.machine.gpus import Gpu
from mi_tui.machine.resources import Machine

GIB = 1 << 30


def side(**billions: float) -> CheckpointInfo:
    """A checkpoint in bfloat16 of dense weights and of experts, stored one by one."""
    names = {"dense": "model.layers.0.mlp.up_proj", "experts": "model.layers.0.mlp.experts.0.up"}
    tensors = {
        (name := f"{names[kind]}.weight"): TensorInfo(
            name, "BF16", (int(count * 1e9),), Path("x.safetensors"), 0, int(count * 2e9)
        )
        for kind, count in billions.items()
    }
    return CheckpointInfo(Location("x", Path("x")), {}, None, TokenizerInfo(), tensors, ())


def machine(*gpus: float, host: float = 400, unified: bool = False) -> Machine:
    cards = tuple(Gpu("card", int(free * GIB), int(free * GIB), unified) for free in gpus)
    return Machine(cards, int(host * GIB), int(host * GIB))


CONFIG_4B = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 2560,
}
CONFIG_30B_A3B = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "hidden_size": 2048,
}
QWEN_4B = replace(side(dense=4.02), config=CONFIG_4B)
QWEN_30B_A3B = replace(side(dense=1.54, experts=28.99), config=CONFIG_30B_A3B)
H100, A100S, RTX_4090 = machine(79.1), machine(*[39.4] * 4), machine(23.5, host=56)
H200 = machine(139, host=900)
GB10 = machine(110, host=110, unified=True)
