"""Roles: every tensor of every family is told apart, and never by substring."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.roles import role_of, role_of_module
from mi_tui.plan.scope import ModuleKind
from tests.checkpoints.families import FAMILIES, tiny_pair

A, M, F, R, N, E, H, V = ModuleKind

NAMED = {
    "model.embed_tokens.weight": (None, E),
    "model.layers.1.self_attn.q_proj.weight": (1, A),
    "model.layers.10.self_attn.q_proj.bias": (10, A),
    "model.layers.3.self_attn.q_norm.weight": (3, N),
    "model.layers.3.self_attn.k_layernorm.bias": (3, N),
    "model.layers.3.mlp.gate_proj.weight": (3, F),
    "model.layers.3.mlp.gate.weight": (3, R),
    "model.layers.3.mlp.gate.e_score_correction_bias": (3, R),
    "model.layers.3.mlp.shared_expert_gate.weight": (3, R),
    "model.layers.3.mlp.experts.17.up_proj.weight": (3, F),
    "model.layers.3.block_sparse_moe.experts.5.w1.weight": (3, F),
    "model.layers.3.block_sparse_moe.gate.weight": (3, R),
    "model.layers.3.pre_feedforward_layernorm.weight": (3, N),
    "model.norm.weight": (None, N),
    "model.final_layernorm.bias": (None, N),
    "lm_head.weight": (None, H),
    "lm_head.bias": (None, H),
    "transformer.h.7.attn.c_attn.weight": (7, A),
    "transformer.h.7.ln_1.weight": (7, N),
    "transformer.wte.weight": (None, E),
    "transformer.ln_f.weight": (None, N),
    "gpt_neox.layers.2.attention.query_key_value.weight": (2, A),
    "gpt_neox.embed_in.weight": (None, E),
    "embed_out.weight": (None, H),
    "model.language_model.layers.4.mlp.down_proj.weight": (4, F),
    "vision_tower.vision_model.encoder.layers.4.self_attn.q_proj.weight": (None, V),
    "model.visual.blocks.4.norm1.weight": (None, V),
    "model.multi_modal_projector.linear_1.weight": (None, V),
    "model.layers.2.linear_attn.in_proj_qkvz.weight": (2, M),
    "model.layers.2.linear_attn.norm.weight": (2, N),
    "model.layers.2.mamba.A_log": (2, M),
    "model.layers.2.conv.conv.weight": (2, M),
    "backbone.layers.2.mixer.conv1d.weight": (2, M),
    "backbone.layers.2.mixer.q_proj.weight": (2, A),
    "backbone.layers.2.mixer.up_proj.weight": (2, F),
    "backbone.layers.2.mixer.gate.weight": (2, R),
    "backbone.layers.2.mixer.experts.3.down_proj.weight": (2, F),
    "model.layers.3.mlp.moe_statics.e_score_correction_bias": (3, R),
    "model.layers.3.mlp.experts.expert_bias": (3, R),
    "mtp.layers.0.mlp.up_proj.weight": (None, F),
    "model.mtp_layers.0.mlp.up_proj.weight": (None, F),
    "model.mtp_block.0.self_attn.q_proj.weight": (None, A),
}


@pytest.mark.parametrize("name", NAMED, ids=str)
def test_known_names(name: str) -> None:
    role = role_of(name)
    assert (role.layer, role.kind) == NAMED[name]
    assert role.recognised


def test_unknown_names_say_so() -> None:
    role = role_of("model.layers.2.something.weight")
    assert (role.layer, role.kind, role.recognised) == (2, F, False)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_of_a_family_is_recognised(family: str, tmp_path: Path) -> None:
    path, _ = tiny_pair(family, tmp_path)
    names = inspect(locate(str(path))).tensors
    roles = {name: role_of(name) for name in names}
    assert all(role.recognised for role in roles.values())
    layers = {role.layer for role in roles.values()}
    assert layers == {None, 0, 1, 2, 3}
    kinds = {role.kind for role in roles.values()}
    assert {A, F, N, E} <= kinds
    assert (R in kinds) == (family in ("qwen3_moe", "mixtral"))


def test_modules_have_the_role_of_their_weights(tmp_path: Path) -> None:
    path, _ = tiny_pair("qwen3", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(path)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            assert role_of_module(name) == role_of(f"{name}.weight")
