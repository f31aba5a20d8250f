"""The tokenizer of a checkpoint, from its files: vocabulary, special tokens, chat template."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.json_files import read_json

SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")

_CLOSED_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TokenizerInfo:
    """A tokenizer as far as mixing depends on it.

    ``vocabulary`` maps tokens to ids (empty when there is only a binary file, whose digest then
    stands in ``digest``). ``opens_thinking``: the chat template ends the prompt with an open
    ``<think>``, so that responses hold only the closing tag.
    """

    vocabulary: Mapping[str, int] = field(default_factory=dict, repr=False)
    special: Mapping[str, str] = field(default_factory=dict)
    chat_template: str | None = field(default=None, repr=False)
    digest: str | None = None

    @property
    def size(self) -> int:
        """One more than the highest token id."""
        return max(self.vocabulary.values(), default=-1) + 1

    @property
    def opens_thinking(self) -> bool:
        """Whether the prompt's end, as the template writes it, leaves a thought open."""
        return self.chat_template is not None and opens_thinking(self.chat_template)


def opens_thinking(chat_template: str) -> bool:
    """Whether a chat template opens ``<think>`` in the generation prompt.

    Read from the template's text, which is never run: after the last mention of
    ``add_generation_prompt`` a ``<think>`` stands that is not closed again.
    """
    _, found, prompt = chat_template.rpartition("add_generation_prompt")
    return bool(found) and "<think>" in _CLOSED_THOUGHT.sub("", prompt)


def read_tokenizer(folder: Path) -> TokenizerInfo:
    """The tokenizer of a checkpoint directory; empty where files are missing.

    Raises:
        CheckpointError: a file is there and cannot be read.
    """
    config = read_json(folder / "tokenizer_config.json") or {}
    listed = read_json(folder / "special_tokens_map.json") or {}
    texts = {name: _text(config.get(name, listed.get(name))) for name in SPECIAL_TOKENS}
    return TokenizerInfo(
        vocabulary=_vocabulary(folder),
        special={name: text for name, text in texts.items() if text is not None},
        chat_template=_chat_template(folder, config),
        digest=_binary_digest(folder),
    )


def _vocabulary(folder: Path) -> dict[str, int]:
    data = read_json(folder / "tokenizer.json") or {}
    model = data.get("model")
    listed = model.get("vocab") if isinstance(model, dict) else None
    vocabulary: dict[str, int] = {}
    if isinstance(listed, dict):
        vocabulary.update((t, i) for t, i in listed.items() if isinstance(i, int))
    elif isinstance(listed, list):  # Unigram: pairs of token and score, the id is the position.
        vocabulary.update((str(pair[0]), i) for i, pair in enumerate(listed) if pair)
    for token in data.get("added_tokens") or ():
        if isinstance(token, dict) and isinstance(token.get("id"), int):
            vocabulary[str(token.get("content"))] = token["id"]
    return vocabulary


def _chat_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace")
    template = config.get("chat_template")
    if template is None:
        template = (read_json(folder / "chat_template.json") or {}).get("chat_template")
    if isinstance(template, list):
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _binary_digest(folder: Path) -> str | None:
    file = folder / "tokenizer.model"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _text(token: Any) -> str | None:
    """A special token's text: transformers writes it plainly or as a table."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None
