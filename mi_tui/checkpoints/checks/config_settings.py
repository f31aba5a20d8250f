"""Settings of a config.json that change what a model computes, by their effective value.

transformers writes the same setting in several ways: rotary embeddings in ``rope_theta`` and
``rope_scaling`` or in ``rope_parameters``, a default by leaving it out. Two configs are compared
by what they mean (huggingface.co/docs/transformers, ``PreTrainedConfig``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NOT_FUNCTIONAL = frozenset(
    {
        "_attn_implementation", "_attn_implementation_autoset", "_experts_implementation",
        "_name_or_path", "add_cross_attention", "architectures", "attn_implementation", "auto_map",
        "aux_loss_alpha", "bad_words_ids", "base_model_prefix", "begin_suppress_tokens",
        "bos_token_id", "chunk_size_feed_forward", "cross_attention_hidden_size",
        "decoder_start_token_id", "dtype", "eos_token_id", "ep_size",
        "exponential_decay_length_penalty",
        "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "fp32_attention",
        "gradient_checkpointing", "id2label", "initializer_range", "is_composition", "is_decoder",
        "is_encoder_decoder", "label2id", "model_type", "output_attentions", "output_hidden_states",
        "output_router_logits", "pad_token_id", "prefix", "pretraining_tp", "problem_type",
        "pruned_heads", "quantization_config", "compression_config", "remove_invalid_values",
        "return_dict", "return_dict_in_generate", "router_aux_loss_coef", "router_z_loss_coef",
        "sep_token_id", "seq_aux", "suppress_tokens", "task_specific_params",
        "tie_encoder_decoder", "tie_word_embeddings", "tokenizer_class", "torch_dtype",
        "torchscript", "transformers_version", "transformers_weights", "unsloth_fixed",
        "unsloth_version", "use_bfloat16", "use_cache", "vocab_size",
    }
)  # fmt: skip
"""Keys that do not change the function of given weights, or that another check speaks of."""

_TRAINING_ONLY = ("dropout", "_pdrop", "_drop", "initializer_range", "_init_std", "_jitter_noise")

_SHAPE_KEYS = frozenset(
    {
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "num_experts", "num_local_experts",
        "n_routed_experts", "moe_intermediate_size",
    }
)  # fmt: skip
"""Keys whose difference means two different networks."""

_DEFAULTS: Mapping[str, Any] = {
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
    "final_logit_softcapping": None,
    "attn_logit_softcapping": None,
    "use_qk_norm": False,
}
"""What transformers takes where a key is absent, the same in every family that has it."""

ABSENT = object()
"""A setting that one config leaves to its family's default, which is not known here."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting with two effective values; ``changes_shape`` where the networks differ."""

    key: str
    values: tuple[Any, Any]

    @property
    def changes_shape(self) -> bool:
        """Whether the two describe different networks rather than different computations."""
        return self.key in _SHAPE_KEYS


def differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The settings whose effective values differ between two configs, by name.

    A key that one config leaves out, and whose default depends on the family, is not compared.
    """
    mine, theirs = effective(one), effective(two)
    found = []
    for key in sorted(mine.keys() | theirs.keys()):
        values = (mine.get(key, ABSENT), theirs.get(key, ABSENT))
        if ABSENT not in values and values[0] != values[1]:
            found.append(Difference(key, values))
    return tuple(found)


def effective(config: Mapping[str, Any]) -> dict[str, Any]:
    """The functional settings of a config: the language model's by name, others with a prefix."""
    text = config.get("text_config")
    language = {**config, **text} if isinstance(text, dict) else dict(config)
    settings = {k: v for k, v in _functional(language) if not k.endswith("_config")}
    settings |= _rope(settings)
    _set_defaults(settings)
    for name, nested in config.items():
        if name.endswith("_config") and name != "text_config" and isinstance(nested, dict):
            settings |= {f"{name}.{key}": value for key, value in _functional(nested)}
    return settings


def _functional(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if key not in _NOT_FUNCTIONAL and not key.endswith(_TRAINING_ONLY):
            yield key, value


def _set_defaults(settings: dict[str, Any]) -> None:
    for key, value in _DEFAULTS.items():
        settings.setdefault(key, value)
    heads = settings.get("num_attention_heads")
    if settings.get("num_key_value_heads") is None and isinstance(heads, int):
        settings["num_key_value_heads"] = heads
    width = settings.get("hidden_size")
    if settings.get("head_dim") is None and isinstance(heads, int) and isinstance(width, int):
        settings["head_dim"] = width // heads if heads else width
    if settings.get("use_sliding_window") is False:
        settings["sliding_window"] = None
        settings.pop("max_window_layers", None)
    if settings.get("sliding_window") is None:
        settings.pop("use_sliding_window", None)
        kinds = settings.get("layer_types")
        if isinstance(kinds, list) and set(map(str, kinds)) <= {"full_attention"}:
            settings.pop("layer_types")


_ROPE_KEYS = ("rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor")


def _rope(settings: dict[str, Any]) -> dict[str, Any]:
    """Rotary embeddings in one spelling, taken out of the settings; empty without any.

    ``rope_scaling`` takes the place of ``rope_parameters``, and both come before keys of their
    own (``transformers.modeling_rope_utils.RotaryEmbeddingConfigMixin``). Parameters may be given
    for each type of layer.
    """
    spelled = {key: settings.pop(key) for key in _ROPE_KEYS if key in settings}
    given = spelled.get("rope_scaling") or spelled.get("rope_parameters")
    parameters = dict(given) if isinstance(given, dict) else {}
    if any(isinstance(value, dict) for value in parameters.values()):
        layers = {k: v for k, v in parameters.items() if isinstance(v, dict)}
        return {"rope": {k: _rope_of_one(v, spelled) for k, v in sorted(layers.items())}}
    one = _rope_of_one(parameters, spelled)
    return {"rope": one} if one else {}


def _rope_of_one(given: Mapping[str, Any], spelled: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {key: value for key, value in given.items() if key != "type"}
    for key in ("rope_theta", "partial_rotary_factor"):
        if spelled.get(key) is not None:
            parameters.setdefault(key, spelled[key])
    if not parameters:
        return {}
    parameters.setdefault("rope_type", given.get("type", "default"))
    if parameters.get("partial_rotary_factor") in (None, 1.0):
        parameters.pop("partial_rotary_factor", None)
    return {key: parameters[key] for key in sorted(parameters)}
