"""The names of a model's tensors beside those of the files' tensors that they are made of."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key


def files_names(model: Any, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The files' tensors that each of the model's is made of, as transformers renames them.

    Args:
        model: a transformers model, with or without memory.
        names: the tensors in the files.

    Returns:
        An entry for each parameter and persistent buffer that a file has.
    """
    mapping = get_model_conversion_mapping(model) or []
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    own = model.state_dict()
    made: dict[str, list[str]] = defaultdict(list)
    for stored in names:
        name, pattern = rename_source_key(
            stored, renamings, converters, model.base_model_prefix, own
        )
        if name not in own and stored in own:
            name, pattern = rename_source_key(stored, [], [], model.base_model_prefix, own)
        for target in _targets(name, pattern, converters):
            made[target].append(stored)
    return {name: tuple(found) for name, found in made.items() if name in own}


def _targets(name: str, pattern: str | None, converters: Iterable[WeightConverter]) -> list[str]:
    """All parameters that a file's tensor goes into; a converter may split it into several."""
    if pattern is None:
        return [name]
    converter = next(c for c in converters if pattern in c.source_patterns)
    first, *others = converter.target_patterns
    return [name, *(name.replace(first, other) for other in others)]
