"""The vLLM engine behind the engine protocol: one instance, a recipe per request."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from transformers import AutoConfig
from vllm.platforms import current_platform

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
from mi_tui.engines.transformers.calibration import concurrencies_within
from mi_tui.engines.transformers.devices.devices import dtype_name, dtype_of_files
from mi_tui.engines.vllm.arguments import engine_arguments
from mi_tui.engines.vllm.client import Client
from mi_tui.engines.vllm.instance import Instance
from mi_tui.engines.vllm.latency import measure
from mi_tui.engines.vllm.request_queue import INSTRUCT, Weights
from mi_tui.engines.vllm.self_check import check_in_place, check_one_pass
from mi_tui.engines.vllm.worker.contract import require_kept
from mi_tui.engines.vllm.worker.merged_weights import plan_side
from mi_tui.engines.vllm.worker.requested_lambda import RECIPE
from mi_tui.engines.vllm.worker.spec import PairSpec
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair

_FALLBACK_TOKENS = (1, 2)


class VllmEngine:
    """Generates with a pair inside vLLM; see ``protocol.Engine`` for each method.

    Args:
        plan: the engine section, its sizes settled by the plan of memory.
        pair: the checkpoints.
        in_place: why the mode is in place, where it was not asked for.
    """

    def __init__(self, plan: EnginePlan, pair: Pair, *, in_place: str = "") -> None:
        try:
            require_kept()
        except RuntimeError as error:
            raise EngineError(str(error)) from error
        self._plan = plan
        self._pair = _local(pair)
        # Asked before the pair is known by folders alone: consent is to a commit of the hub.
        self._trusts = require_trust(locate(pair.donor_reference), pair.trust_remote_code)
        self._folder = Path(self._pair.donor_reference)
        in_files = dtype_of_files(inspect(locate(self._pair.donor_reference)))
        self._export_dtype = "" if in_files is None else dtype_name(in_files)
        self._chat = Chat(
            self._folder,
            trust_remote_code=self._trusts,
            template_arguments=pair.chat_template_kwargs,
        )
        self._config = AutoConfig.from_pretrained(self._folder, trust_remote_code=self._trusts)
        self._end_tokens = self._chat.end_tokens(self._config)
        asked = in_place or "λ in place was asked for"
        self._given_up = asked if plan.mode == "in-place" else ""
        plan_side(self._pair, 0.0)  # refused here in words, in vLLM's processes in their log
        self._instance = self._start(INSTRUCT)

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with its pair on this machine."""
        what = self._instance.description
        one_pass = self._instance.one_pass
        return Capabilities(
            mixes_recipes=one_pass,
            batch_size=what.batch_size,
            device=f"{what.device} (vLLM{self._ranks()})",
            dtype=what.dtype,
            note="vLLM, all recipes in one pass"
            if one_pass
            else f"vLLM, λ in place, one recipe at a time: {self._given_up or what.reason}",
            export_dtype=self._export_dtype,
        )

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The donor's chat template applied, the assistant's turn opened."""
        return self._chat.render(messages)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The token ids of a rendered prompt."""
        return self._chat.encode(prompt)

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests; none of them when one is refused."""
        fresh = list(requests)
        for request in fresh:
            self._require_room(request)
        self._instance.add(fresh)

    def step(self, seconds: float = 0.5) -> list[Completion]:
        """Wait about ``seconds`` and return what finished; vLLM goes on between calls."""
        return [
            self._chat.completion(request, done.tokens, stopped=done.stopped, seconds=done.running)
            for request, done in self._instance.step(seconds)
        ]

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget requests; unknown ids are ignored."""
        self._instance.cancel(set(request_ids))

    @property
    def pending(self) -> int:
        """The number of requests queued or running."""
        return self._instance.pending

    def self_check(self) -> SelfCheck:
        """Compare a few greedy tokens with merged checkpoints that vLLM loads.

        One pass that fails is given up for λ in place, which has a check of its own.
        """
        prompts = self._chat.check_prompts(_FALLBACK_TOKENS)
        if self._instance.one_pass:
            outcome = check_one_pass(self._instance, prompts)
            if outcome.passed:
                return outcome
            self._given_up = outcome.message
        if self._instance.one_pass or not self._instance.is_fresh:
            self._instance.close()
            self._instance = self._start(INSTRUCT)
        self._given_up = self._given_up or self._instance.description.reason
        outcome, self._instance = check_in_place(self._instance, self._start, prompts)
        return outcome

    def calibrate(self, concurrencies: Sequence[int] | None = None) -> tuple[LatencyPoint, ...]:
        """Measure the single merged model, without Δ.

        Compiled code and CUDA graphs always compute Δ. Where they are used, a vLLM with the plain
        model takes the place of this one for the measurement.
        """
        device_type = "cpu" if current_platform.is_cpu() else "cuda"
        batch_size = self._instance.description.batch_size
        plain = self._instance.one_pass and not self._arguments(None)["enforce_eager"]
        if plain:
            self._instance.close()
        client = Client(self._arguments(None)) if plain else self._instance.client
        try:
            recipe = {} if plain else {RECIPE: INSTRUCT.recipe.canonical_json()}
            vocabulary = self._config.get_text_config().vocab_size
            return measure(
                client,
                concurrencies or concurrencies_within(device_type, batch_size),
                device_type=device_type,
                vocabulary=vocabulary,
                recipe=recipe,
            )
        finally:
            if plain:
                client.close()
                self._instance = self._start(INSTRUCT)

    def device_memory(self) -> str:
        """Unknown here: the memory is that of vLLM's own processes."""
        return ""

    def close(self) -> None:
        """End vLLM's processes; the engine is not used again."""
        self._instance.close()

    def _start(self, weights: Weights) -> Instance:
        spec = PairSpec(
            pair=self._pair,
            one_pass=weights == INSTRUCT and not self._given_up,
            salted=True,
            start=None if weights == INSTRUCT else weights.recipe,
        )
        return Instance(Client(self._arguments(spec)), weights, self._end_tokens)

    def _arguments(self, spec: PairSpec | None) -> dict[str, object]:
        return engine_arguments(
            self._plan,
            self._folder,
            spec,
            on_cpu=current_platform.is_cpu(),
            trust_remote_code=self._trusts,
        )

    def _ranks(self) -> str:
        ranks = self._plan.vllm.ranks
        return f", {ranks} ranks" if ranks > 1 else ""

    def _require_room(self, request: Request) -> None:
        check_request(request, self._pair)
        longest = self._instance.description.longest
        wanted = len(request.prompt) + request.max_new_tokens
        if wanted > longest:
            raise EngineError(
                f"prompt and response may have {wanted} tokens together, and vLLM has room for "
                f"{longest}: raise engine.vllm.max_model_len or lower the probe's cap"
            )


def _local(pair: Pair) -> Pair:
    """The pair with every checkpoint as a folder that vLLM's workers can read."""
    base = None if pair.base is None else str(locate(pair.base).path)
    found = {
        "instruct": str(locate(pair.instruct).path),
        "thinking": str(locate(pair.thinking).path),
        "base": base,
    }
    return pair.model_copy(update=found)
