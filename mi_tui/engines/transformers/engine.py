"""The transformers engine behind the engine protocol."""

import time
from collections import abc
from collections.abc import Iterable

from mi_tui.analysis.results import LatencyPoint
from mi_tui.checkpoints.checks.remote_code import require_trust
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.chat import Chat
from mi_tui.engines.protocol import (
    Capabilities,
    Completion,
    EngineError,
    Request,
    SelfCheck,
    check_request,
)
from mi_tui.engines.transformers.calibration import calibrate, concurrencies_within, longest_context
from mi_tui.engines.transformers.decoding.sequence import Finished, Sequence
from mi_tui.engines.transformers.decoding.timing import PROMPT_TOKENS, Speed, measure
from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.devices.devices import (
    device_name,
    device_of,
    dtype_name,
    dtype_of,
    use_threads,
)
from mi_tui.engines.transformers.devices.replica_plans import decide
from mi_tui.engines.transformers.model.fixed_rope import dynamic_limit
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.scheduler import Scheduler
from mi_tui.engines.transformers.weights.cost_model import CostModel
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.engines.transformers.weights.strategy import Strategies
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation

_TIMED_STEPS = 16


def process_plans(plan: EnginePlan, pair: Pair, longest: int = 0) -> tuple[EnginePlan, ...]:
    """The engine processes that a plan means here, each with its device.

    ``longest``: the tokens that a prompt and its response may have; 0: not known.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
        EngineError: the pair does not fit here.
    """
    instruct, thinking = inspect(locate(pair.instruct)), inspect(locate(pair.thinking))
    room = memory.room_beside(device_of(plan))
    return decide(plan, instruct, thinking, room, longest).plans


class TransformersEngine:
    """Generates with a pair of transformers models; see ``protocol.Engine`` for each method."""

    def __init__(
        self,
        pair_tensors: PairTensors,
        chat: Chat,
        pair: Pair,
        plan: EnginePlan,
        longest: int = 0,
    ) -> None:
        self._pair = pair
        self._pair_tensors = pair_tensors
        self._chat = chat
        self._recipes = RecipeIds()
        self._strategies = Strategies(pair_tensors, self._recipes, pair, plan.mode, longest=longest)
        self._scheduler = Scheduler(
            self._strategies,
            pair_tensors,
            batch_size=plan.batch or pair_tensors.sequences_that_fit(),
            end_tokens=chat.end_tokens(pair_tensors.config),
        )
        if plan.threads is None:
            self._strategies.settle_threads(self._scheduler.batch_size)

    @classmethod
    def open(cls, plan: EnginePlan, pair: Pair, longest: int = 0) -> "TransformersEngine":
        """Load a pair as a plan says.

        Args:
            plan: the engine section, of one process.
            pair: the checkpoints.
            longest: the tokens that a prompt and its response may have; 0: not known.

        Raises:
            CheckpointError: a checkpoint cannot be found or read, or the pair does not fit.
            RemoteCodeError: the pair asks for code that the user has not allowed.
            EngineError: it cannot be loaded, or the device is not there.
        """
        use_threads(plan)
        device = device_of(plan)
        donor = locate(pair.donor_reference)
        chat = Chat(
            donor.path,
            trust_remote_code=require_trust(donor, pair.trust_remote_code),
            template_arguments=pair.chat_template_kwargs,
        )
        pair_tensors = PairTensors.load(
            pair,
            dtype=dtype_of(plan, device),
            device=device,
        )
        return cls(pair_tensors, chat, pair, plan, longest)

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with its pair on this machine."""
        return Capabilities(
            mixes_recipes=self._strategies.one_pass is not None,
            batch_size=self._scheduler.batch_size,
            device=device_name(self._pair_tensors.device),
            dtype=dtype_name(self._pair_tensors.dtype),
            note=self._strategies.note,
            export_dtype=dtype_name(self._pair_tensors.export_dtype),
        )

    def render(self, messages: abc.Sequence[dict[str, str]]) -> str:
        """The donor's chat template applied, the assistant's turn opened."""
        return self._chat.render(messages)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The token ids of a rendered prompt."""
        return self._chat.encode(prompt)

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests; none of them when one is refused."""
        self._scheduler.add([self._sequence(request) for request in requests])

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
        self._scheduler.drop(lambda sequence: sequence.request.id in ids)

    @property
    def pending(self) -> int:
        """The number of requests queued or running."""
        return self._scheduler.pending

    def self_check(self) -> SelfCheck:
        """Compare a few greedy tokens with a materialised merge, decoded by transformers."""
        top = self._pair_tensors.vocabulary
        return self._strategies.self_check(self._chat.check_prompts((top // 2, top // 3)))

    def calibrate(self, concurrencies: abc.Sequence[int] | None = None) -> tuple[LatencyPoint, ...]:
        """Measure the merged model's speed, in whatever way sequences are mixed otherwise."""
        number = self._recipes.number(interpolation(0.5))
        pair_tensors = self._pair_tensors

        def longest(sequences: int) -> int:
            config = pair_tensors.config.get_text_config()
            return longest_context(
                pair_tensors.device.type,
                getattr(config, "max_position_embeddings", 0) - PROMPT_TOKENS - _TIMED_STEPS,
                memory.cache_bytes_per_token(config, pair_tensors.dtype),
                memory.free_bytes(pair_tensors.device),
                sequences,
            )

        def timed(sequences: int, context: int) -> Speed:
            return measure(
                self._strategies.in_place,
                [number] * sequences,
                device=pair_tensors.device,
                vocabulary=pair_tensors.vocabulary,
                steps=_TIMED_STEPS,
                repeats=2 if context else 3,
                context=context,
            )

        wanted = concurrencies or concurrencies_within(
            pair_tensors.device.type, self._scheduler.batch_size
        )
        return calibrate(wanted, longest, timed)

    def cost_model(self) -> CostModel:
        """The measurements from which one pass or in place is chosen (made when first asked)."""
        return self._strategies.cost_model(self._scheduler.batch_size)

    def device_memory(self) -> str:
        """An accelerator's memory in use, as text; empty on a CPU."""
        return memory.in_use(self._pair_tensors.device)

    def close(self) -> None:
        """Free the memory; the engine is not used again."""
        device = self._pair_tensors.device
        del self._scheduler, self._strategies, self._pair_tensors
        memory.release_unused(device)

    def _sequence(self, request: Request) -> Sequence:
        check_request(request, self._pair)
        limit = dynamic_limit(self._pair_tensors.config)
        room = None if limit is None else limit - len(request.prompt)
        if room is not None and request.max_new_tokens > room:
            raise EngineError(
                f"the model's rope changes with the length beyond {limit} tokens, so that a "
                f"response would depend on its neighbours: set max_new_tokens to {room} or less"
            )
        number = self._recipes.number(request.recipe, as_exported=request.as_exported)
        return Sequence(request, number)

    def _completions(self, finished: abc.Sequence[Finished]) -> list[Completion]:
        return [
            self._chat.completion(
                done.sequence.request, done.tokens, stopped=done.stopped, seconds=done.seconds
            )
            for done in finished
        ]
