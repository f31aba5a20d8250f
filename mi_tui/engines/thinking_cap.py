"""The cap of a thought: a response in two phases, the thought cut and closed, then the answer."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mi_tui.engines.protocol import Completion, Engine, Request
from mi_tui.plan.thinking_tags import ThinkingTags, opened_by
from mi_tui.probes.thinking import parts_of


def open_thought(text: str, prompt: str, tags: Sequence[ThinkingTags]) -> ThinkingTags | None:
    """The tags of the thought that a response is still in; ``None`` where it is in none.

    Args:
        text: the response so far.
        prompt: what it goes on from; some chat templates open the thought.
        tags: those that the model may use.
    """
    parts = parts_of(text, truncated=True, tags=tags)
    if not parts.unfinished:
        return None
    if parts.thought is None:  # nothing in the response is marked: the prompt decides
        return opened_by(prompt, tags)
    return opened_by(text, tags) or opened_by(prompt, tags)


def is_untouched(
    response: Completion,
    cap: int,
    prompt: str,
    tags: Sequence[ThinkingTags],
    encode: Callable[[str], Sequence[int]],
) -> bool:
    """Whether a response without a cap is for certain the one with it.

    It is where it ended, or had closed its only thought, within the cap, and where it does not
    think at all. Stored responses are text: one that is not encoded into as many tokens as were
    generated counts as not certain.

    Args:
        response: a finished one; of its tokens only the count is looked at.
        cap: tokens that a thought may have.
        prompt: the text that it goes on from.
        tags: what may mark thinking.
        encode: the tokenizer.
    """
    stopped = response.finish_reason == "stop"
    if stopped and response.token_count <= cap:
        return True
    text = response.text
    parts = parts_of(text, truncated=not stopped, tags=tags)
    if parts.thought is None:
        return opened_by(prompt, tags) is None
    used = [one for one in tags if one.closing in text]
    if not parts.closed or parts.unfinished or len(used) != 1 or text.count(used[0].closing) != 1:
        return False
    if len(encode(text)) != response.token_count - stopped:
        return False
    end = text.index(used[0].closing) + len(used[0].closing)
    return len(encode(text[:end])) <= cap


@dataclass(slots=True)
class _Begun:
    """A capped request under way, with what its first phase gave once that is over."""

    request: Request
    prompt: str
    thought: Completion | None = None
    closing: tuple[int, ...] = ()
    tags: ThinkingTags | None = None


@dataclass(slots=True)
class CappedThinking:
    """An engine's requests, those with a ``thinking_cap`` in two phases.

    The first phase asks for as many tokens as the thought may have. A thought that is open by then
    is closed by the model's own tag, which counts as tokens of the response, and the second phase
    writes the answer, with random numbers of its own, up to the cap of the whole. A response
    that has closed its thought by then is the one without a cap, and is asked for as such. So it is
    exact with every engine, which sees plain requests alone.

    Args:
        engine: generates.
        tags: what may mark thinking.
    """

    engine: Engine
    tags: Sequence[ThinkingTags]
    _begun: dict[int, _Begun] = field(default_factory=dict)

    def add(self, requests: Iterable[Request], prompts: Mapping[int, str]) -> None:
        """Queue requests; ``prompts`` are the texts of the capped ones' prompts, by request id.

        Raises:
            EngineError: a request's recipe or prompt is more than the engine can take.
        """
        plain: list[Request] = []
        begun: dict[int, _Begun] = {}
        for request in requests:
            cap = request.recipe.thinking_cap
            uncapped = replace(request, recipe=request.recipe.uncapped)
            if cap is not None and cap < request.max_new_tokens:
                begun[request.id] = _Begun(uncapped, prompts[request.id])
                uncapped = replace(uncapped, max_new_tokens=cap)
            plain.append(uncapped)
        self.engine.add(plain)
        self._begun |= begun

    def step(self, seconds: float) -> list[Completion]:
        """Generate for about ``seconds`` and return what is finished, second phases too.

        Raises:
            EngineError: the engine cannot go on.
        """
        finished = []
        for done in self.engine.step(seconds):
            begun = self._begun.get(done.request_id)
            whole = done if begun is None else self._after_phase(begun, done)
            if whole is not None:
                self._begun.pop(done.request_id, None)
                finished.append(whole)
        return finished

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget these requests, in whichever phase; unknown ids are ignored."""
        ids = list(request_ids)
        self.engine.cancel(ids)
        for number in ids:
            self._begun.pop(number, None)

    def _after_phase(self, begun: _Begun, done: Completion) -> Completion | None:
        """The whole response, or ``None`` while another phase is under way."""
        if begun.thought is not None and begun.tags is not None:
            return _joined(begun.thought, begun.closing, begun.tags.closing, done)
        if done.finish_reason == "stop":
            return done
        tags = open_thought(done.text, begun.prompt, self.tags)
        closing = () if tags is None else self.engine.encode(tags.closing)
        left = begun.request.max_new_tokens - len(done.tokens) - len(closing)
        if tags is None or left < 1:
            del self._begun[done.request_id]
            self.engine.add([begun.request])
            return None
        begun.thought, begun.closing, begun.tags = done, closing, tags
        behind = replace(
            begun.request,
            prompt=(*begun.request.prompt, *done.tokens, *closing),
            seed=answer_seed(begun.request.seed),
            max_new_tokens=left,
        )
        self.engine.add([behind])
        return None


def answer_seed(seed: int) -> int:
    """The seed of the second phase, 63 bits: the same for every cap of one response."""
    return int.from_bytes(hashlib.sha256(f"{seed}/answer".encode()).digest()[:8], "big") >> 1


def _joined(
    thought: Completion, closing: tuple[int, ...], closing_text: str, answer: Completion
) -> Completion:
    """Both phases as one response, the closing tag between them."""
    return Completion(
        request_id=answer.request_id,
        text=thought.text + closing_text + answer.text,
        tokens=(*thought.tokens, *closing, *answer.tokens),
        token_count=thought.token_count + len(closing) + answer.token_count,
        finish_reason=answer.finish_reason,
        seconds=thought.seconds + answer.seconds,
    )
