"""The tokenizer of a checkpoint, from its files: vocabulary, chat template, end tokens."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.json_files import MAX_JSON_BYTES, read_json
from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags, tags_in

SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")

_TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eot|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end|>",
    "<|return|>",
    "<|end_of_text|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|endofturn|>",
)
"""The tokens with which chat templates end the assistant's turn."""


@dataclass(frozen=True, slots=True)
class TokenizerInfo:
    """A tokenizer as far as mixing depends on it.

    ``vocabulary`` maps tokens to ids (empty when there is only a binary file, whose digest then
    stands in ``digest``). ``apart`` are the ids of tokens that text is parted at before it is
    split into others: those that were added, and the special ones.
    """

    vocabulary: Mapping[str, int] = field(default_factory=dict, repr=False)
    special: Mapping[str, str] = field(default_factory=dict)
    chat_template: str | None = field(default=None, repr=False)
    digest: str | None = None
    apart: frozenset[int] = field(default_factory=frozenset, repr=False)

    @property
    def size(self) -> int:
        """One more than the highest token id."""
        return max(self.vocabulary.values(), default=-1) + 1

    @property
    def thinking_tags(self) -> tuple[ThinkingTags, ...]:
        """What marks thinking, as the chat template and the tokens name it."""
        return tags_in(self.chat_template, self.vocabulary)

    @property
    def opens_thinking(self) -> ThinkingTags | None:
        """The tags of the thought that the prompt's end leaves open, as the template writes it.

        Responses then hold the closing tag alone.
        """
        return None if self.chat_template is None else opens_thinking(self.chat_template)


def opens_thinking(chat_template: str) -> ThinkingTags | None:
    """The tags that a chat template opens in the generation prompt; ``None`` where it does not.

    Read from the template's text, which is never run: after the last mention of
    ``add_generation_prompt`` an opening tag stands that is not closed again.
    """
    _, found, prompt = chat_template.rpartition("add_generation_prompt")
    for tags in KNOWN if found else ():
        opening, closing = re.escape(tags.opening), re.escape(tags.closing)
        closed = f"{opening}(?:(?!{opening}).)*?{closing}"
        if tags.opening in re.sub(closed, "", prompt, flags=re.DOTALL):
            return tags
    return None


def read_tokenizer(folder: Path) -> TokenizerInfo:
    """The tokenizer of a checkpoint directory; empty where files are missing.

    Raises:
        CheckpointError: a file is there and cannot be read.
    """
    config = read_json(folder / "tokenizer_config.json") or {}
    listed = read_json(folder / "special_tokens_map.json") or {}
    texts = {name: _text(config.get(name, listed.get(name))) for name in SPECIAL_TOKENS}
    data = read_json(folder / "tokenizer.json") or {}
    vocabulary = _vocabulary(data)
    named = {vocabulary[text] for text in texts.values() if text in vocabulary}
    decoder = config.get("added_tokens_decoder")
    listed_ids = (
        {int(key) for key in decoder if key.isdecimal()} if isinstance(decoder, dict) else ()
    )
    return TokenizerInfo(
        vocabulary=vocabulary,
        special={name: text for name, text in texts.items() if text is not None},
        chat_template=_chat_template(folder, config),
        digest=_binary_digest(folder),
        apart=frozenset({*_added(data).values(), *named, *listed_ids}),
    )


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 31


def _vocabulary(data: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of a tokenizer.json."""
    model = data.get("model")
    listed = model.get("vocab") if isinstance(model, dict) else None
    vocabulary: dict[str, int] = {}
    if isinstance(listed, dict):
        vocabulary.update((t, i) for t, i in listed.items() if _is_id(i))
    elif isinstance(listed, list):  # Unigram: pairs of token and score, the id is the position.
        pairs = enumerate(listed)
        vocabulary.update((str(pair[0]), i) for i, pair in pairs if pair and isinstance(pair, list))
    return vocabulary | _added(data)


def _added(data: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of a tokenizer.json that its model does not split text into."""
    added = data.get("added_tokens")
    return {
        str(token.get("content")): token["id"]
        for token in (added if isinstance(added, list) else ())
        if isinstance(token, dict) and _is_id(token.get("id"))
    }


def _chat_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return _content(file).decode(errors="replace")
    template = config.get("chat_template")
    if template is None:
        template = (read_json(folder / "chat_template.json") or {}).get("chat_template")
    if isinstance(template, list):
        tables = [t for t in template if isinstance(t, dict)]
        named = {str(t.get("name")): t.get("template") for t in tables}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _binary_digest(folder: Path) -> str | None:
    file = folder / "tokenizer.model"
    return hashlib.sha256(_content(file)).hexdigest() if file.is_file() else None


def _text(token: Any) -> str | None:
    """A special token's text: transformers writes it plainly or as a table."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None


@dataclass(frozen=True, slots=True)
class EndTokens:
    """The ids that end a response, by who says so; empty where nobody does.

    Attributes:
        configured: those of ``generation_config.json``, or of ``config.json`` where there is none.
        tokenizer: the tokenizer's ``eos_token``.
        template: those with which the chat template ends the assistant's turn.
        names: the tokens of the ids, as far as they are known.
    """

    configured: frozenset[int]
    tokenizer: frozenset[int]
    template: frozenset[int]
    names: Mapping[int, str]

    @property
    def union(self) -> frozenset[int]:
        """Where a response stops."""
        return self.configured | self.tokenizer | self.template

    @property
    def disagreement(self) -> str:
        """What the config leaves out that others end at, in words; empty where they agree."""
        if not self.configured:
            return ""
        by = {"tokenizer": self.tokenizer, "chat template": self.template}
        who = [name for name, ids in by.items() if ids - self.configured]
        if not who:
            return ""
        left_out = (self.tokenizer | self.template) - self.configured
        return (
            f"the generation config ends at {self.listed(self.configured)}, the "
            f"{' and the '.join(who)} at {self.listed(left_out)}: a study stops at any of them; "
            "add the latter to eos_token_id in generation_config.json, for other programs"
        )

    def listed(self, ids: Iterable[int]) -> str:
        """Ids with their tokens, in ascending order."""
        return ", ".join(f"{self.names.get(one, '?')} ({one})" for one in sorted(ids))


def end_tokens(
    config: Mapping[str, Any], generation: Mapping[str, Any] | None, tokenizer: TokenizerInfo
) -> EndTokens:
    """The end tokens of a checkpoint, from its JSON files alone.

    Args:
        config: of ``config.json``.
        generation: of ``generation_config.json``, if there is one.
        tokenizer: its tokenizer.
    """
    ids = tokenizer.vocabulary
    configured = _ids((generation or {}).get("eos_token_id"))
    nested = config.get("text_config")
    for other in (config, nested if isinstance(nested, Mapping) else {}):
        configured = configured or _ids(other.get("eos_token_id"))
    eos = tokenizer.special.get("eos_token")
    named = {eos} if eos else set()
    return EndTokens(
        configured=configured,
        tokenizer=frozenset(ids[token] for token in named if token in ids),
        template=frozenset(ids[token] for token in turn_ends(tokenizer) if token in ids),
        names={number: token for token, number in ids.items()},
    )


def turn_ends(tokenizer: TokenizerInfo) -> frozenset[str]:
    """The known tokens with which a chat template ends turns; its text is read and never run."""
    template = tokenizer.chat_template or ""
    # gpt-oss ends every part of a response with <|end|>, its thinking first.
    inside = {tags.closing for tags in tags_in(template) if tags.closes_else}
    return frozenset(token for token in _TURN_ENDS if token in template and token not in inside)


def read_end_tokens(folder: Path) -> EndTokens:
    """As :func:`end_tokens`, of a checkpoint's folder.

    Raises:
        CheckpointError: a file is there and cannot be read.
    """
    return end_tokens(
        read_json(folder / "config.json") or {},
        read_json(folder / "generation_config.json"),
        read_tokenizer(folder),
    )


def _ids(value: Any) -> frozenset[int]:
    listed = value if isinstance(value, list) else [value]
    return frozenset(one for one in listed if isinstance(one, int) and not isinstance(one, bool))


def _content(file: Path) -> bytes:
    """A small file.

    Raises:
        CheckpointError: it cannot be read, or is far too large.
    """
    try:
        # By its size: a read of at most so many bytes would set so much memory aside.
        if file.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(f"{file} is far too large: download it again")
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {(error.strerror or '').lower()}") from error
    return content
