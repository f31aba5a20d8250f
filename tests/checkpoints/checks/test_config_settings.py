"""Two configs compared by effective value: spellings, defaults, and real differences."""

from typing import Any

import pytest
from transformers import AutoConfig

from mi_tui.checkpoints.checks.config_settings import differences

BASE: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}

NO_DIFFERENCE: dict[str, dict[str, Any]] = {
    "head_dim left out": {"head_dim": ...},
    "head_dim null": {"head_dim": None},
    "key/value heads left out": {"num_key_value_heads": ...},
    "biases left out and said": {"attention_bias": False, "mlp_bias": False},
    "rope of transformers 4": {"rope_parameters": ..., "rope_theta": 10000.0, "rope_scaling": None},
    "rope by its old key": {"rope_parameters": {"type": "default", "rope_theta": 10000.0}},
    "whole rotary factor": {"partial_rotary_factor": 1.0},
    "window not used": {
        "sliding_window": 4096,
        "use_sliding_window": False,
        "max_window_layers": 3,
    },
    "names and ids": {"architectures": ["A"], "eos_token_id": 7, "_name_or_path": "x"},
    "training only": {"attention_dropout": 0.1, "initializer_range": 0.5},
    "text part of a wrapper": {"text_config": dict(BASE)},
}

REAL: dict[str, tuple[dict[str, Any], str]] = {
    "eps": ({"rms_norm_eps": 1e-5}, "rms_norm_eps"),
    "theta": ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, "rope"),
    "theta of transformers 4": ({"rope_parameters": ..., "rope_theta": 5e5}, "rope"),
    "scaling": ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope"),
    "half rotary": ({"partial_rotary_factor": 0.5}, "rope"),
    "head_dim": ({"head_dim": 16}, "head_dim"),
    "heads": ({"num_attention_heads": 8}, "num_attention_heads"),
    "bias": ({"attention_bias": True}, "attention_bias"),
    "window": ({"sliding_window": 4096}, "sliding_window"),
    "softcapping": ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
}


def changed(**values: Any) -> dict[str, Any]:
    """The base config with other values; ``...`` leaves a key out."""
    return {key: value for key, value in {**BASE, **values}.items() if value is not ...}


@pytest.mark.parametrize("name", NO_DIFFERENCE)
def test_spellings_and_defaults_are_no_difference(name: str) -> None:
    other = changed(**NO_DIFFERENCE[name])
    assert differences(BASE, other) == ()
    assert differences(other, BASE) == ()


@pytest.mark.parametrize("name", REAL)
def test_a_real_difference_is_found_with_both_values(name: str) -> None:
    values, key = REAL[name]
    found = differences(BASE, changed(**values))
    assert key in [difference.key for difference in found]
    one = next(difference for difference in found if difference.key == key)
    assert one.values[0] != one.values[1]


@pytest.mark.parametrize(
    ("key", "one", "two"),
    [
        ("hidden_act", "silu", "gelu"),
        ("norm_topk_prob", True, False),
        ("routed_scaling_factor", 1.0, 2.5),
        ("scoring_func", "softmax", "sigmoid"),
        ("logits_scaling", 1.0, 8.0),
        ("residual_multiplier", 1.0, 0.22),
        ("query_pre_attn_scalar", 16, 32),
        ("no_rope_layers", [1, 1, 1, 0], [1, 1, 1, 1]),
        ("num_experts_per_tok", 2, 4),
        ("max_position_embeddings", 4096, 131072),
        ("some_setting_of_a_future_family", 1, 2),
    ],
)
def test_any_key_counts_that_is_not_known_to_be_harmless(key: str, one: Any, two: Any) -> None:
    (found,) = differences(changed(**{key: one}), changed(**{key: two}))
    assert (found.key, found.values) == (key, (one, two))


def test_a_tower_has_settings_of_its_own() -> None:
    one, two = ({**BASE, "vision_config": {"hidden_size": size}} for size in (8, 16))
    (found,) = differences(one, two)
    assert found.key == "vision_config.hidden_size"
    assert not found.changes_shape


@pytest.mark.parametrize("name", [n for n in NO_DIFFERENCE if n.startswith(("rope", "head_dim"))])
def test_transformers_reads_the_spellings_alike(name: str) -> None:
    """transformers as judge: what counts as no difference gives it one and the same model."""
    one, two = (AutoConfig.for_model(**config) for config in (BASE, changed(**NO_DIFFERENCE[name])))
    for key in ("head_dim", "num_key_value_heads"):
        assert getattr(one, key) == getattr(two, key)
    for key in ("rope_type", "rope_theta"):
        assert one.rope_parameters[key] == two.rope_parameters[key]
