"""The thinking tags of a pair: as its preset sets them, else as its checkpoints name them."""

from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.tokenizer import read_tokenizer
from mi_tui.plan.pair import Pair
from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags


def thinking_tags(pair: Pair) -> tuple[ThinkingTags, ...]:
    """What may mark the thinking of a pair's mixtures, the donor's tags first.

    Where neither side's chat template or tokens name any, all known ones.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
    """
    if pair.own_tags:
        return pair.own_tags
    found = [
        tags
        for side in pair.sides
        for tags in read_tokenizer(locate(side, weights=False).path).thinking_tags
    ]
    return tuple(dict.fromkeys(found)) or KNOWN
