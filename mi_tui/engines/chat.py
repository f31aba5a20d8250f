"""The donor's tokenizer, chat template and end tokens: from problem to prompt, from ids to text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from mi_tui.checkpoints.tokenizer import read_end_tokens, read_tokenizer, turn_ends
from mi_tui.engines.protocol import Completion, EngineError, Request
from mi_tui.probes.chat_template import chat_variables
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.template_process import TemplateRenderer

_CHECK_TEXTS = ("What is 7 times 8?", "Compute 3+4")
_ANSWER = "Seven."


class Chat:
    """The tokenizer of the side that gives a merged checkpoint its tokenizer and template.

    Args:
        path: the checkpoint's folder.
        trust_remote_code: whether Python code of the checkpoint may run.
        template_arguments: what the chat template is given beside the messages, such as
            ``enable_thinking``.

    Raises:
        EngineError: there is no tokenizer that could be loaded.
    """

    def __init__(
        self,
        path: Path,
        *,
        trust_remote_code: bool = False,
        template_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                path, trust_remote_code=trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise EngineError(f"{path}: no tokenizer could be loaded ({error})") from error
        self._path = path
        self._arguments = dict(template_arguments or {})
        self._renderer = TemplateRenderer()

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
            # What transformers' apply_chat_template takes and gives, but in a process with limits.
            return self._rendered(chat_variables(messages))
        except (ProbeError, ValueError) as error:
            raise EngineError(f"{self._path}: {error}") from error

    def _rendered(self, given: Mapping[str, Any]) -> str:
        """The template applied to the special tokens, the user's arguments, and what is given."""
        template = self._tokenizer.get_chat_template()
        known = {**self._tokenizer.special_tokens_map, **self._arguments}
        return self._renderer.render(template, {**known, **given})

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
        """The ids that end a response: the union of all who name one.

        They are the generation config, or the model's config where there is none, the tokenizer,
        and the chat template, by what it writes behind an answer.

        Raises:
            EngineError: nothing names an end token.
        """
        said = read_end_tokens(self._path)
        ids: set[int | None] = set(said.union)
        if not said.configured:
            named = getattr(model_config, "eos_token_id", None)
            ids.update(named if isinstance(named, list | tuple) else [named])
        ids.update((self._tokenizer.eos_token_id, *self._turn_ends()))
        found = frozenset(one for one in ids if isinstance(one, int))
        if not found:
            raise EngineError(
                f"{self._path}: no end token: add eos_token_id to its generation_config.json"
            )
        return found

    def _turn_ends(self) -> list[int | None]:
        """The ids of the special tokens with which the template ends an answer."""
        names = set(turn_ends(read_tokenizer(self._path)))
        special = set(self._tokenizer.get_added_vocab())
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _ANSWER}]
        try:
            given = chat_variables(turns) | {"add_generation_prompt": False}
            text = self._rendered(given)
            behind = text.rpartition(_ANSWER)[2].lstrip() if _ANSWER in text else ""
        except (ProbeError, ValueError):  # there is none, or it wants other turns
            behind = ""
        names.add(max(filter(behind.startswith, special), key=len, default=""))
        return [self._tokenizer.get_vocab().get(name) for name in names if name in special]
