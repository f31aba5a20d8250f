"""The donor's tokenizer, chat template and end tokens: from problem to prompt, from ids to text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from mi_tui.engines.protocol import Completion, EngineError, Request

_CHECK_TEXTS = ("What is 7 times 8?", "Compute 3+4")


class Chat:
    """The tokenizer of the side that gives a merged checkpoint its tokenizer and template."""

    def __init__(self, path: Path, *, trust_remote_code: bool = False) -> None:
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                path, trust_remote_code=trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise EngineError(f"{path}: no tokenizer could be loaded ({error})") from error
        self._path = path

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The chat template applied, the assistant's turn opened.

        Raises:
            EngineError: there is no chat template, or it refuses the messages.
        """
        if not getattr(self._tokenizer, "chat_template", None):
            raise EngineError(
                f"{self._path}: the tokenizer has no chat template: choose the other side as donor"
            )
        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template is a program of its own
            raise EngineError(f"{self._path}: the chat template failed: {error}") from error
        return text

    def encode(self, prompt: str) -> tuple[int, ...]:
        """Token ids; special tokens are what the template wrote, none are added."""
        ids: list[int] = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return tuple(ids)

    def completion(
        self, request: Request, tokens: tuple[int, ...], *, stopped: bool, seconds: float
    ) -> Completion:
        """A finished response; special tokens stay visible, such as some ``</think>``.

        Args:
            request: what was asked.
            tokens: all that was generated, the end token included.
            stopped: whether an end token ended it, which is cut off, and not the cap.
            seconds: wall time from joining the batch to finishing.
        """
        body = tokens[:-1] if stopped else tokens
        text: str = self._tokenizer.decode(
            list(body), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return Completion(
            request_id=request.id,
            text=text,
            tokens=body,
            token_count=len(tokens),
            finish_reason="stop" if stopped else "length",
            seconds=seconds,
        )

    def check_prompts(self, fallback: Sequence[int]) -> list[tuple[int, ...]]:
        """Two prompts of different lengths for a self-check, that any tokenizer can write.

        Args:
            fallback: two token ids for a tokenizer that makes nothing of the texts.
        """
        try:
            found = [
                self.encode(self.render([{"role": "user", "content": text}]))
                for text in _CHECK_TEXTS
            ]
        except EngineError:  # the check does not need a template
            found = [self.encode(text) for text in _CHECK_TEXTS]
        return [prompt or tuple(fallback[: at + 1]) for at, prompt in enumerate(found)]

    def end_tokens(self, model_config: Any) -> frozenset[int]:
        """The ids that end a response, from the generation config, or else from what there is.

        Raises:
            EngineError: nothing names an end token.
        """
        try:
            configured = GenerationConfig.from_pretrained(self._path).eos_token_id
        except OSError:
            configured = None
        for ids in (configured, getattr(model_config, "eos_token_id", None), self._tokenizer_end):
            if ids is not None:
                return frozenset(ids if isinstance(ids, list | tuple) else [ids])
        raise EngineError(
            f"{self._path}: no end token: add eos_token_id to its generation_config.json"
        )

    @property
    def _tokenizer_end(self) -> int | None:
        end: int | None = self._tokenizer.eos_token_id
        return end
