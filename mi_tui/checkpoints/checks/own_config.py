"""A checkpoint's tensors against its own config.json and tokenizer, by rule.

Each rule is one that holds in every family of transformers. What a family's code would say in
addition needs transformers itself and is asked elsewhere.
"""

from collections.abc import Iterator
from itertools import islice

from mi_tui.checkpoints.checks.implied_tensors import contradictions, is_untied_by_default, listed
from mi_tui.checkpoints.inspect import HEAD_NAME, CheckpointInfo
from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind

_WRAPPERS = ("module.", "base_model.model.")
"""What training tools put before every name, and transformers does not find."""

_WRAPPER_PARTS = frozenset(
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
)
"""What they put anywhere into a name."""

_ADAPTER_PARTS = frozenset({"base_layer", "lora_A", "lora_B", "lora_magnitude_vector"})
"""Parts of names in a model with an adapter that is not merged (``peft``)."""

_ADAPTER = "adapter_config.json"


_LEFT_THERE = "left there by a training tool: save the checkpoint again with save_pretrained"


def own_problems(info: CheckpointInfo) -> Iterator[str]:
    """What contradicts the checkpoint's own config, one line each, with names.

    Nothing is said of a checkpoint whose files are damaged: that is said first.
    """
    if info.problems or not info.tensors:
        return
    yield from _model_type(info)
    wrapped = [*_wrappers(info), *_adapter(info)]
    yield from wrapped
    yield from _layers(info)
    yield from _head(info)
    yield from _rows(info)
    if not wrapped and info.quantisation is None:
        yield from contradictions(info)


def _model_type(info: CheckpointInfo) -> Iterator[str]:
    if not isinstance(info.config.get("model_type"), str) and not info.needs_remote_code:
        yield "config.json names no model_type, by which every program loads it: download it again"


def _wrappers(info: CheckpointInfo) -> Iterator[str]:
    for wrapper in _WRAPPERS:
        if named := [name for name in info.tensors if name.startswith(wrapper)]:
            yield f"{listed(named)} begin with {wrapper!r}, {_LEFT_THERE}"
    for part in sorted(_WRAPPER_PARTS):
        if named := [name for name in info.tensors if part in name.split(".")]:
            where = "begin with" if named[0].startswith(part) else "hold"
            yield f"{listed(named)} {where} '{part}.', {_LEFT_THERE}"


def _adapter(info: CheckpointInfo) -> Iterator[str]:
    named = [name for name in info.tensors if not _ADAPTER_PARTS.isdisjoint(name.split("."))]
    if named:
        yield f"{listed(named)} are those of an adapter: merge it (merge_and_unload), then save"
    elif (info.location.path / _ADAPTER).is_file():
        yield (
            f"{_ADAPTER} lies beside the weights, and transformers would load the adapter and its "
            "base model in their place: merge the adapter, or take the file away"
        )


def _layers(info: CheckpointInfo) -> Iterator[str]:
    declared = info.text_config.get("num_hidden_layers")
    if not isinstance(declared, int) or not info.layers:
        return
    extra = info.text_config.get("num_nextn_predict_layers")
    allowed = declared + (extra if isinstance(extra, int) else 0)
    present = {r.layer for n in info.tensors if (r := role_of(n)).layer is not None}
    if info.layers < declared or info.layers > allowed:
        yield (
            f"{declared} layers in config.json, {info.layers} in the weights: "
            "take the config.json that belongs to them"
        )
    elif missing := sorted(set(range(declared)) - present):
        yield f"no tensors of layer {missing[0]}: download the checkpoint again"
    kinds = info.text_config.get("layer_types")
    if isinstance(kinds, list) and not declared <= len(kinds) <= max(allowed, info.layers):
        yield (
            f"{declared} layers in config.json, and {len(kinds)} layer_types: "
            "take the config.json that belongs to the weights"
        )


def _head(info: CheckpointInfo) -> Iterator[str]:
    has_head = any(role_of(name).kind is ModuleKind.HEAD for name in info.tensors)
    if has_head or info.embedding is None:
        return
    if info.says_untied:
        yield (
            f"config.json says that the head is not tied to the embeddings, and {HEAD_NAME} is "
            "not stored: it would be random at every load"
        )
    elif info.says_nothing_of_tying and is_untied_by_default(info.config):
        yield (
            f"config.json has no tie_word_embeddings, which means not tied in {info.model_type}, "
            f"and {HEAD_NAME} is not stored: it would be random at every load"
        )


def _rows(info: CheckpointInfo) -> Iterator[str]:
    embedding = info.embedding
    if embedding is None or len(embedding.shape) != 2:
        return
    rows, width = embedding.shape
    declared = info.text_config.get("vocab_size")
    if isinstance(declared, int) and declared != rows:
        yield (
            f"vocab_size is {declared} in config.json, and {embedding.name} has {rows} rows: "
            "take the config.json that belongs to the weights"
        )
    if info.tokenizer.size > rows:
        beyond = sorted(
            (number, token) for token, number in info.tokenizer.vocabulary.items() if number >= rows
        )
        shown = ", ".join(f"{token!r} ({number})" for number, token in islice(beyond, 2))
        yield (
            f"the tokenizer has {len(beyond)} ids beyond the {rows} rows of {embedding.name}, "
            f"such as {shown}: the model cannot read them"
        )
    head = info.stored_head
    if head is not None and len(head.shape) == 2 and head.shape[0] != rows:
        yield f"{head.name} has {head.shape[0]} rows, and {embedding.name} has {rows}"
    hidden = info.text_config.get("hidden_size")
    if isinstance(hidden, int) and hidden != width:
        yield f"hidden_size is {hidden} in config.json, and {embedding.name} has width {width}"
