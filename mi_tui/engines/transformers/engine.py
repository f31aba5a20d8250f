"""The default engine: transformers models, decoded in slots by our own loop."""

import time
from collections.abc import Iterable, Sequence

from mi_tui.analysis.results import LatencyPoint
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.chat import Chat
from mi_tui.engines.protocol import Capabilities, Completion, Request, SelfCheck, check_request
from mi_tui.engines.transformers.calibration import calibrate, concurrencies_within, longest_context
from mi_tui.engines.transformers.decoding.sequence import Finished, Row
from mi_tui.engines.transformers.decoding.timing import PROMPT_TOKENS, Speed, measure
from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.devices.devices import (
    device_name,
    device_of,
    dtype_name,
    dtype_of,
    dtype_of_files,
    use_threads,
)
from mi_tui.engines.transformers.devices.replica_plans import decide
from mi_tui.engines.transformers.model.pair_tensors import Sources
from mi_tui.engines.transformers.scheduler import Scheduler
from mi_tui.engines.transformers.weights.cost_model import CostModel
from mi_tui.engines.transformers.weights.recipe_ids import RecipeNumbers
from mi_tui.engines.transformers.weights.strategy import Ways
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation

_TIMED_STEPS = 16


def process_plans(plan: EnginePlan, pair: Pair) -> tuple[EnginePlan, ...]:
    """The engine processes that a plan means here, each with its device.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
        EngineError: the pair does not fit here.
    """
    instruct, thinking = inspect(locate(pair.instruct)), inspect(locate(pair.thinking))
    return decide(plan, instruct, thinking, memory.room_beside(device_of(plan))).plans


class TransformersEngine:
    """Generates with a pair of transformers models; see ``protocol.Engine`` for each method."""

    def __init__(self, sources: Sources, chat: Chat, pair: Pair, plan: EnginePlan) -> None:
        self._pair = pair
        self._sources = sources
        self._chat = chat
        self._recipes = RecipeNumbers()
        self._ways = Ways(sources, self._recipes, pair, plan.mode)
        self._scheduler = Scheduler(
            self._ways,
            sources,
            rows=plan.batch or sources.rows_that_fit(),
            end_tokens=chat.end_tokens(sources.config),
        )
        if plan.threads is None:
            self._ways.settle_threads(self._scheduler.rows)

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
        donor_name = pair.thinking if pair.donor == "thinking" else pair.instruct
        chat = Chat(donor, trust_remote_code=pair.trust_remote_code)
        sources = Sources.load(
            instruct,
            thinking,
            dtype=dtype_of(plan, device),
            device=device,
            trust_remote_code=pair.trust_remote_code,
            export_dtype=dtype_of_files(inspect(locate(donor_name))),
        )
        return cls(sources, chat, pair, plan)

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with its pair on this machine."""
        return Capabilities(
            mixes_recipes=self._ways.one_pass is not None,
            rows=self._scheduler.rows,
            device=device_name(self._sources.device),
            dtype=dtype_name(self._sources.dtype),
            note=self._ways.note,
            export_dtype=dtype_name(self._sources.export_dtype),
        )

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The donor's chat template applied, the assistant's turn opened."""
        return self._chat.render(messages)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The token ids of a rendered prompt."""
        return self._chat.encode(prompt)

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests; none of them when one is refused."""
        self._scheduler.add([self._row(request) for request in requests])

    def step(self, seconds: float = 0.5) -> list[Completion]:
        """Generate for about ``seconds`` and return what finished."""
        until = time.perf_counter() + seconds
        finished: list[Finished] = []
        while self._scheduler.pending:
            finished += self._scheduler.advance()
            if time.perf_counter() >= until:
                break
        return self._completions(finished)

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget requests; unknown ids are ignored."""
        ids = set(request_ids)
        self._scheduler.drop(lambda row: row.request.id in ids)

    @property
    def pending(self) -> int:
        """The number of requests queued or running."""
        return self._scheduler.pending

    def self_check(self) -> SelfCheck:
        """Compare a few greedy tokens with a materialised merge, decoded by transformers."""
        top = self._sources.vocabulary
        return self._ways.self_check(self._chat.check_prompts((top // 2, top // 3)))

    def calibrate(self, concurrencies: Sequence[int] | None = None) -> tuple[LatencyPoint, ...]:
        """Measure the merged model's speed, in whatever way rows are mixed otherwise."""
        number = self._recipes.number(interpolation(0.5))
        sources = self._sources

        def longest(rows: int) -> int:
            config = sources.config.get_text_config()
            return longest_context(
                sources.device.type,
                getattr(config, "max_position_embeddings", 0) - PROMPT_TOKENS - _TIMED_STEPS,
                memory.cache_bytes_per_token(config, sources.dtype),
                memory.free_bytes(sources.device),
                rows,
            )

        def timed(rows: int, context: int) -> Speed:
            return measure(
                self._ways.in_place,
                [number] * rows,
                device=sources.device,
                vocabulary=sources.vocabulary,
                steps=_TIMED_STEPS,
                repeats=2 if context else 3,
                context=context,
            )

        wanted = concurrencies or concurrencies_within(sources.device.type, self._scheduler.rows)
        return calibrate(wanted, longest, timed)

    def cost_model(self) -> CostModel:
        """The measurements from which one pass or in place is chosen (made when first asked)."""
        return self._ways.cost_model(self._scheduler.rows)

    def device_memory(self) -> str:
        """An accelerator's memory in use, as text; empty on a CPU."""
        return memory.in_use(self._sources.device)

    def close(self) -> None:
        """Free the memory; the engine is not used again."""
        device = self._sources.device
        del self._scheduler, self._ways, self._sources
        memory.release_unused(device)

    def _row(self, request: Request) -> Row:
        check_request(request, self._pair)
        number = self._recipes.number(request.recipe, as_exported=request.as_exported)
        return Row(request, number)

    def _completions(self, finished: Sequence[Finished]) -> list[Completion]:
        return [
            self._chat.completion(
                done.row.request, done.tokens, stopped=done.stopped, seconds=done.seconds
            )
            for done in finished
        ]
