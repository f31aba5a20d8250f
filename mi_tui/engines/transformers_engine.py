"""The default engine: transformers models, decoded in slots by our own loop."""

import time
from collections.abc import Callable, Iterable, Sequence

import torch

from mi_tui.checkpoints.locate import locate
from mi_tui.engines import memory, self_check
from mi_tui.engines.chat import Chat
from mi_tui.engines.decoder import SlotDecoder
from mi_tui.engines.devices import device_name, device_of, dtype_name, dtype_of, use_threads
from mi_tui.engines.in_place import InPlaceWeights
from mi_tui.engines.protocol import (
    Capabilities,
    Completion,
    EngineError,
    LatencyPoint,
    Request,
    SelfCheck,
)
from mi_tui.engines.recipes import RecipeNumbers
from mi_tui.engines.row import Finished, Row
from mi_tui.engines.sources import Sources
from mi_tui.engines.speed import measure
from mi_tui.engines.waiting import WaitingRows
from mi_tui.plan.preset import EnginePlan, Pair
from mi_tui.plan.recipe import Method, interpolation

_GROW_BACK_AFTER = 256
"""Steps without running out of memory after which a halved batch is doubled again."""


class TransformersEngine:
    """Generates with a pair of transformers models; see ``protocol.Engine`` for each method."""

    def __init__(self, sources: Sources, chat: Chat, *, batch: int | None = None) -> None:
        self._sources = sources
        self._chat = chat
        self._recipes = RecipeNumbers()
        self._waiting = WaitingRows()
        self._in_place = InPlaceWeights(sources, self._recipes)
        self._rows = batch or memory.rows_that_fit(sources.config, sources.dtype, sources.device)
        self._decoder = SlotDecoder(
            self._in_place,
            capacity=self._rows,
            end_tokens=chat.end_tokens(sources.config),
            device=sources.device,
        )
        self._steps_since_shrunk = 0

    @classmethod
    def open(cls, plan: EnginePlan, pair: Pair) -> "TransformersEngine":
        """Load a pair as a plan says.

        Raises:
            CheckpointError: a checkpoint cannot be found.
            EngineError: it cannot be loaded, or the device is not there.
        """
        use_threads(plan)
        device = device_of(plan)
        instruct, thinking = locate(pair.instruct).path, locate(pair.thinking).path
        donor = thinking if pair.donor == "thinking" else instruct
        chat = Chat(donor, trust_remote_code=pair.trust_remote_code)
        sources = Sources(
            instruct,
            thinking,
            dtype=dtype_of(plan, device),
            device=device,
            trust_remote_code=pair.trust_remote_code,
        )
        return cls(sources, chat, batch=plan.batch)

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with its pair on this machine."""
        return Capabilities(
            mixes_recipes=False,
            rows=self._rows,
            device=device_name(self._sources.device),
            dtype=dtype_name(self._sources.dtype),
            note="λ in place, grouped by recipe",
        )

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The donor's chat template applied, the assistant's turn opened."""
        return self._chat.render(messages)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The token ids of a rendered prompt."""
        return self._chat.encode(prompt)

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests; none of them when one is refused."""
        rows = [self._row(request) for request in requests]
        self._waiting.add(rows)

    def step(self, seconds: float = 0.5) -> list[Completion]:
        """Generate for about ``seconds`` and return what finished."""
        until = time.perf_counter() + seconds
        finished: list[Finished] = []
        while self.pending:
            self._guarded(self._admit)
            finished += self._decoder.collect()
            if self._decoder.rows:
                self._guarded(self._decoder.step)
                finished += self._decoder.collect()
            if time.perf_counter() >= until:
                break
        return self._completions(finished)

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget requests."""
        ids = set(request_ids)
        self._waiting.drop(lambda row: row.request.id in ids)
        self._decoder.release(lambda row: row.request.id in ids)

    @property
    def pending(self) -> int:
        """The number of requests queued or running."""
        return len(self._waiting) + len(self._decoder.rows)

    def self_check(self) -> SelfCheck:
        """Compare a few greedy tokens with a materialised merge, decoded by transformers."""
        prompts = self._check_prompts()
        numbers = self_check.number_recipes(self._recipes)
        return self_check.check(
            self._in_place,
            numbers,
            prompts,
            self_check.references(self._in_place, numbers, prompts),
            together=False,
            device=self._sources.device,
            name="λ in place",
        )

    def calibrate(self, concurrencies: Sequence[int] = (1, 4, 16)) -> tuple[LatencyPoint, ...]:
        """Measure the merged model's speed, whatever the way rows are mixed otherwise."""
        number = self._recipes.number(interpolation(0.5))
        points = []
        for rows in concurrencies:
            speed = measure(
                self._in_place,
                [number] * rows,
                device=self._sources.device,
                vocabulary=self._sources.vocabulary,
            )
            points.append(LatencyPoint(rows, speed.first_token, speed.step))
        return tuple(points)

    def close(self) -> None:
        """Free the memory."""
        self._decoder.release(lambda _: True)
        self._waiting = WaitingRows()
        del self._decoder, self._in_place, self._sources
        memory.release_unused(torch.device("cpu"))

    def _check_prompts(self) -> list[tuple[int, ...]]:
        """Two prompts of different lengths that any tokenizer can write."""
        texts = ["What is 7 times 8?", "Compute 3+4"]
        try:
            found = [self.encode(self.render([{"role": "user", "content": t}])) for t in texts]
        except EngineError:  # the check does not need a template
            found = [self.encode(text) for text in texts]
        top = self._sources.vocabulary
        return [prompt or (top // 2, top // 3)[: at + 1] for at, prompt in enumerate(found)]

    def _row(self, request: Request) -> Row:
        if not request.prompt:
            raise EngineError(f"request {request.id} has an empty prompt")
        if request.recipe.method is not Method.INTERPOLATION:
            raise EngineError(
                f"{request.recipe.label} needs a base model: name one as base in the pair"
            )
        return Row(request, self._recipes.number(request.recipe))

    def _admit(self) -> None:
        """Let waiting rows join, many at once: each reading of prompts is a pass of its own."""
        recipe = self._decoder.rows[0].recipe if self._decoder.rows else self._waiting.next_recipe
        while True:
            matching = self._waiting.count(recipe) if recipe is not None else 0
            joining = min(matching, self._decoder.room)
            few = joining < matching and joining < max(1, self._decoder.capacity // 8)
            if not joining or few:
                return
            rows = self._waiting.take(joining, recipe)
            try:
                self._decoder.admit(rows)
            except BaseException:
                self._waiting.put_back(rows)
                raise

    def _guarded(self, act: Callable[[], None]) -> None:
        """Run one act of the decoder; when memory runs out, halve the batch for the next."""
        try:
            act()
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            if self._decoder.capacity == 1:
                raise EngineError(
                    "out of memory with a single response: lower max_new_tokens, choose a smaller "
                    "dtype or a larger device"
                ) from error
            self._resize(max(1, self._decoder.capacity // 2))
            return
        self._steps_since_shrunk += 1
        if self._decoder.capacity < self._rows and self._steps_since_shrunk >= _GROW_BACK_AFTER:
            self._resize(min(self._rows, self._decoder.capacity * 2))

    def _resize(self, rows: int) -> None:
        self._waiting.put_back(self._decoder.resize(rows))
        memory.release_unused(self._sources.device)
        self._steps_since_shrunk = 0

    def _completions(self, finished: Sequence[Finished]) -> list[Completion]:
        bodies = [done.tokens[:-1] if done.stopped else done.tokens for done in finished]
        return [
            Completion(
                request_id=done.row.request.id,
                text=text,
                tokens=body,
                token_count=len(done.tokens),
                finish_reason="stop" if done.stopped else "length",
                seconds=done.seconds,
            )
            for done, body, text in zip(finished, bodies, self._chat.decode(bodies), strict=True)
        ]
