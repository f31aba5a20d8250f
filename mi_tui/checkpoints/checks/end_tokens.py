"""Findings on the tokens that end a response: who names them, and whether they can end it."""

from collections.abc import Iterator, Mapping
from typing import Any

from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.checkpoints.tokenizer import EndTokens, end_tokens, turn_ends


def end_token_findings(sides: Mapping[str, CheckpointInfo]) -> Iterator[Finding]:
    """What is wrong with the end tokens of a pair; nothing where all agree."""
    found = {
        name: end_tokens(info.config, info.generation_config, info.tokenizer)
        for name, info in sides.items()
    }
    yield from _disagreements({name: tokens.disagreement for name, tokens in found.items()})
    for name, info in sides.items():
        for words in _faults(name, found[name], info, sides):
            yield Finding("warning", f"{name} end token", words)


def _disagreements(said: Mapping[str, str]) -> Iterator[Finding]:
    wrong = {name: words for name, words in said.items() if words}
    if len(wrong) == len(said) and len(set(wrong.values())) == 1:
        yield Finding("warning", "end token", f"on both sides {next(iter(wrong.values()))}")
        return
    for name, words in wrong.items():
        yield Finding("warning", f"{name} end token", words)


def _faults(
    name: str, tokens: EndTokens, info: CheckpointInfo, sides: Mapping[str, CheckpointInfo]
) -> Iterator[str]:
    written = (info.generation_config or info.config).get("eos_token_id")
    if written is not None and not _are_numbers(written):
        yield f"eos_token_id is {written!r}, which is no number: it ends nothing"
    vocabulary = info.tokenizer.vocabulary
    eos, turns = info.tokenizer.special.get("eos_token"), turn_ends(info.tokenizer)
    if vocabulary and eos is not None and eos not in vocabulary:
        yield f"{eos!r} is the tokenizer's eos_token, and no token of it"
    if vocabulary and turns and not turns & vocabulary.keys():
        words = ", ".join(map(repr, sorted(turns)))
        yield f"the chat template ends turns with {words}, no token of the tokenizer"
    rows = None if info.embedding is None else info.embedding.shape[0]
    beyond = {one for one in tokens.union if rows is not None and one >= rows}
    if beyond:
        yield f"{tokens.listed(beyond)}: beyond the {rows} rows of the embedding, never generated"
    for other, side in sides.items():
        texts = {number: text for text, number in side.tokenizer.vocabulary.items()}
        ordinary = (tokens.union - beyond - side.tokenizer.apart) & texts.keys()
        if ordinary:
            words = ", ".join(f"{texts[one]!r} ({one})" for one in sorted(ordinary))
            whose = "its" if other == name else f"{other}'s"
            yield f"{words}: ordinary text in {whose} tokenizer, at which responses would end"


def _are_numbers(value: Any) -> bool:
    listed = value if isinstance(value, list) else [value]
    return all(type(one) is int for one in listed)
