"""A checkpoint's tensors against its own config.json and tokenizer, by rule.

Each rule is one that holds in every family of transformers. What a family's code would say in
addition needs transformers itself and is asked elsewhere.
"""

from collections.abc import Iterator
from itertools import islice

from mi_tui.checkpoints.inspect import HEAD_NAME, CheckpointInfo
from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind

_WRAPPERS = ("_orig_mod.", "module.", "base_model.model.", "_fsdp_wrapped_module.")
"""What training tools put before every name, and transformers does not find."""


def own_problems(info: CheckpointInfo) -> Iterator[str]:
    """What contradicts the checkpoint's own config, one line each, with names.

    Nothing is said of a checkpoint whose files are damaged: that is said first.
    """
    if info.problems or not info.tensors:
        return
    yield from _prefixes(info)
    yield from _layers(info)
    yield from _head(info)
    yield from _rows(info)


def _prefixes(info: CheckpointInfo) -> Iterator[str]:
    for wrapper in _WRAPPERS:
        named = [name for name in info.tensors if name.startswith(wrapper)]
        if named:
            yield (
                f"{_listed(named)} begin with {wrapper!r}, left there by a training tool: "
                "save the checkpoint again with save_pretrained"
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


def _head(info: CheckpointInfo) -> Iterator[str]:
    has_head = any(role_of(name).kind is ModuleKind.HEAD for name in info.tensors)
    if info.says_untied and not has_head and info.embedding is not None:
        yield (
            f"config.json says that the head is not tied to the embeddings, and {HEAD_NAME} is "
            "not stored: it would be random at every load"
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
    hidden = info.text_config.get("hidden_size")
    if isinstance(hidden, int) and hidden != width:
        yield f"hidden_size is {hidden} in config.json, and {embedding.name} has width {width}"


def _listed(names: list[str]) -> str:
    few = ", ".join(names[:2])
    return few if len(names) <= 2 else f"{few} and {len(names) - 2} more tensors"
