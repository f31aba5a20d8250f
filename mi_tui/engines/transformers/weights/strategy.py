"""The two strategies, one pass and in place, and the choice between them."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal

import torch

from mi_tui.engines.protocol import SelfCheck
from mi_tui.engines.transformers import self_check
from mi_tui.engines.transformers.decoding.timing import (
    PROMPT_TOKENS,
    Clock,
    Speed,
    measure,
    own_clock,
    wall_clock,
)
from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.load_report import engine_words
from mi_tui.engines.transformers.model.forward import Batching, PlainForward, Weights
from mi_tui.engines.transformers.model.fused_forward import FusedForward
from mi_tui.engines.transformers.model.generation_cache import reads_alike, use_own_attention
from mi_tui.engines.transformers.model.mixing_rule import why_no_one_pass
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.model.slot_support import why_no_pages, why_no_slots
from mi_tui.engines.transformers.self_check import References
from mi_tui.engines.transformers.weights.cost_model import CostModel, Curve, Work
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights
from mi_tui.engines.transformers.weights.one_pass import CannotMixError, OnePassWeights
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation

Strategy = Literal["one-pass", "in-place"]
Mode = Literal["auto", "one-pass", "in-place"]

_GRID = tuple(at / 8 for at in range(9))
_MEASURED = (1, 4, 16, 64, 256)
_READ = 2048
"""Prompt tokens that are read together to time it: more only take longer, in proportion."""

_ENOUGH = 0.05
"""Seconds of runs after which the time of a batch is known well enough to choose."""

_NO_ROOM = "one pass leaves too little memory for its self-check"

_CONTEXT = 512
"""Tokens of context at which a step is timed to tell what attention costs, at most."""


class Strategies:
    """Both sets of weights, as far as the mode wants them and the model allows.

    ``note`` says in one line what is done, and why when it is less than was asked for.
    """

    def __init__(
        self,
        pair_tensors: PairTensors,
        recipes: RecipeIds,
        pair: Pair,
        mode: Mode = "auto",
        *,
        longest: int = 0,
    ) -> None:
        template = pair_tensors.view()
        self._no_one_pass = why_no_one_pass(template, pair_tensors.kind_of)
        self._no_slots = why_no_slots(template)
        wanted = mode != "in-place" and not self._no_one_pass
        placement = pair_tensors.settle(one_pass=wanted, longest=longest)
        self.in_place = InPlaceWeights(pair_tensors, recipes, pair)
        self.one_pass: OnePassWeights | None = None
        self.note = placement.words
        self._pair_tensors = pair_tensors
        self._pair = pair
        self._recipes = recipes
        self._mode = mode
        self._cost: CostModel | None = None
        self._batching = Batching.CONTINUOUS
        if self._no_slots:
            self._start_together(self.in_place)
            self.note += f"; requests start together: {self._no_slots}"
        else:
            no_pages = why_no_pages(template, pair_tensors.device, pair_tensors.dtype)
            self.in_place.in_pages = not no_pages
            if no_pages and pair_tensors.device.type == "cuda":
                self.note += _one_block(no_pages)
        if mode != "in-place" and self._no_one_pass:
            self._give_up_one_pass(self._no_one_pass)
        elif wanted and placement.one_pass:
            self._try_one_pass()

    def weights(self, strategy: Strategy) -> Weights:
        """The weights of this strategy."""
        if strategy == "one-pass" and self.one_pass is not None:
            return self.one_pass
        return self.in_place

    def choose(self, work: Work, capacity: int, now: Strategy | None = None) -> Strategy:
        """The cheaper strategy for this work; ``now`` stays unless the other is a tenth cheaper."""
        if self.one_pass is None:
            return "in-place"
        if self._mode == "one-pass":
            return "one-pass"
        if len(work.sequences) < 2:
            return "in-place"
        model = self._costs_if_there_is_room(capacity)
        if model is None:
            return now or "in-place"
        one_pass, in_place = model.one_pass(work, capacity), model.in_place(work, capacity)
        if now == "one-pass":
            one_pass *= 0.9
        elif now == "in-place":
            in_place *= 0.9
        return "one-pass" if one_pass < in_place else "in-place"

    def parking_pays(self, lengths: Sequence[int], work: Work, capacity: int) -> bool:
        """Whether a recipe's last sequences had better wait and finish with those of other recipes.

        Args:
            lengths: tokens of each of these sequences.
            work: all that is left to do.
            capacity: how many sequences there is room for.
        """
        if self.one_pass is None or not lengths:
            return False
        context = sum(lengths) / len(lengths)
        model = self._costs_if_there_is_room(capacity)
        if model is None:
            return False
        return model.parking(len(work.sequences), len(lengths), context, work.response_tokens) > 0

    def cost_model(self, capacity: int) -> CostModel:
        """The measured model, at the first call measured (seconds)."""
        if self._cost is None:
            numbers = [self._recipes.number(interpolation(lambda_)) for lambda_ in _GRID]
            sizes = sorted({min(sequences, capacity) for sequences in (*_MEASURED, capacity)})
            single = self._time_each(self.in_place, sizes, lambda n: numbers[4:5] * n)
            mixed = {}
            if self.one_pass is not None:
                mixed = self._time_each(
                    self.one_pass, sizes, lambda n: [numbers[at % 9] for at in range(n)]
                )
            most = max(single)
            attention = self._time_attention(numbers[4:5] * most, single[most])
            self._cost = CostModel(
                Curve(single, PROMPT_TOKENS, attention),
                Curve(mixed or single, PROMPT_TOKENS, attention),
                self.in_place.time_switch(),
            )
        return self._cost

    def _costs_if_there_is_room(self, capacity: int) -> CostModel | None:
        """The cost model; ``None`` while responses take all memory, so that none can be timed."""
        try:
            return self.cost_model(capacity)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
        memory.release_unused(self._pair_tensors.device)
        return None

    def _time_each(
        self,
        weights: InPlaceWeights | OnePassWeights,
        sizes: Sequence[int],
        numbers: Callable[[int], Sequence[int]],
    ) -> dict[int, Speed]:
        """The speed at each batch size, up to the largest that memory has room for.

        Raises:
            torch.OutOfMemoryError: not even the first one fits.
        """
        found: dict[int, Speed] = {}
        for size in sizes:
            try:
                found[size] = self.time(weights, numbers(size))
            except Exception as error:
                if not found or not memory.is_out_of_memory(error):
                    raise
                memory.release_unused(self._pair_tensors.device)
                break
        return found

    def _time_attention(self, sequences: Sequence[int], short: Speed) -> float:
        """Seconds that a token of context adds to a step, per sequence, in either strategy."""
        config = self._pair_tensors.config.get_text_config()
        context = min(_CONTEXT, getattr(config, "max_position_embeddings", _CONTEXT) // 2)
        longer = self.time(self.in_place, sequences, context=context)
        return max(0.0, longer.step - short.step) / (len(sequences) * context)

    def settle_threads(self, capacity: int) -> None:
        """Keep torch's threads only when they make a step faster than a single one does.

        A small model's steps are too short to share, and threads that wait for each other on a
        busy machine make them many times slower.
        """
        several = torch.get_num_threads()
        if several == 1 or self._pair_tensors.device.type != "cpu":
            return
        sequences = [self._recipes.number(interpolation(0.5))] * capacity
        torch.set_num_threads(1)
        alone = self.time(self.in_place, sequences, wall_clock)
        torch.set_num_threads(several)
        if self.time(self.in_place, sequences, wall_clock).step > 0.9 * alone.step:
            torch.set_num_threads(1)

    def time(
        self,
        weights: Weights,
        numbers: Sequence[int],
        clock: Clock = own_clock,
        context: int = 0,
    ) -> Speed:
        """A short measurement: the best of two runs, because others only ever slow it down."""
        prompt = max(1, min(PROMPT_TOKENS, _READ // len(numbers)))
        speed = measure(
            weights,
            numbers,
            device=self._pair_tensors.device,
            vocabulary=self._pair_tensors.vocabulary,
            steps=6,
            repeats=2,
            of=min,
            clock=clock,
            context=context,
            prompt_tokens=prompt,
            enough=_ENOUGH,
        )
        return Speed(speed.first_token * PROMPT_TOKENS / prompt, speed.step)

    def self_check(self, prompts: Sequence[Sequence[int]]) -> SelfCheck:
        """Compare both strategies with transformers; one pass is given up where it fails.

        A fused forward pass that fails gives way to the architecture's own first. Where memory
        runs out, one pass is given up, and then the longest prompt becomes shorter.
        """
        longest = self_check.long_length(self._pair_tensors)
        while True:
            try:
                return self._compared(prompts, longest)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
            if self.one_pass is not None:
                self._give_up_one_pass(_NO_ROOM)
            elif longest >= 2 * self_check.SHORTEST:
                longest //= 2
            else:
                return SelfCheck(False, "the self-check does not fit into memory: free some of it")
            memory.release_unused(self._pair_tensors.device)

    def _compared(self, prompts: Sequence[Sequence[int]], longest: int) -> SelfCheck:
        """The self-check with a longest prompt of so many tokens.

        Raises:
            torch.OutOfMemoryError: memory does not allow that.
        """
        expected = self_check.references(
            self.in_place, self._pair_tensors, self._pair, self._recipes, prompts, longest
        )
        if not expected.is_finite:
            return SelfCheck(False, self_check.nonfinite(self._pair_tensors))
        if expected.in_place_fault is not None:
            return SelfCheck(False, f"λ in place: {expected.in_place_fault}")
        in_place = self._checked(self.in_place, expected)
        if self.one_pass is None or not in_place.passed:
            return in_place
        self.one_pass.in_pages = self.in_place.in_pages
        one_pass = self._check_one_pass(self.one_pass, expected)
        if not one_pass.passed:
            self._give_up_one_pass(one_pass.message)
            memory.release_unused(self._pair_tensors.device)
            return in_place
        return one_pass

    def _check_one_pass(self, one_pass: OnePassWeights, expected: References) -> SelfCheck:
        """Whatever goes wrong, one pass cannot be used."""
        try:
            fault = self._one_pass_fault(one_pass)
            if fault and isinstance(one_pass.forward, FusedForward):
                one_pass.forward = PlainForward(one_pass.model)
                fault = self._one_pass_fault(one_pass)
            if fault:
                return SelfCheck(False, f"one pass: {fault}")
            return self._checked(one_pass, expected)
        except Exception as error:
            short = memory.is_out_of_memory(error)
            return SelfCheck(False, _NO_ROOM if short else f"one pass failed: {_in_a_line(error)}")

    def _one_pass_fault(self, one_pass: OnePassWeights) -> str:
        return self_check.one_pass_fault(one_pass, self.in_place, self._pair_tensors, self._recipes)

    def _checked(self, weights: InPlaceWeights | OnePassWeights, expected: References) -> SelfCheck:
        """Check, and check again with the plainer ways that there are."""

        def once() -> SelfCheck:
            try:
                return self_check.check(weights, expected, self._pair_tensors.device)
            # Whatever an architecture's own code raises on its way is a check that failed.
            except Exception as error:
                if memory.is_out_of_memory(error):
                    raise
                return SelfCheck(False, _in_a_line(error))

        forwards = [weights.forward]
        if isinstance(weights.forward, FusedForward):
            forwards.append(PlainForward(weights.model))
        pages = (
            (True, False) if weights is self.in_place and weights.in_pages else (weights.in_pages,)
        )
        for weights.forward, weights.in_pages in product(forwards, pages):
            found = once()
            if found.passed:
                break
        if len(pages) > 1 and not weights.in_pages:
            self.note += _one_block("with pages, responses differ from the merged model's")
        if (
            not found.passed
            and weights.batching is Batching.CONTINUOUS
            and weights is self.in_place
        ):
            self._no_slots = "with slots, responses differ from the merged model's"
            self._start_together(weights)
            self.note += f"; requests start together: {self._no_slots}"
            found = once()
        return found

    def _start_together(self, weights: InPlaceWeights | OnePassWeights) -> None:
        """Let weights be used with transformers' own cache and attention."""
        use_own_attention(weights.model)
        if self._batching is Batching.CONTINUOUS:
            alike = reads_alike(weights.model, self._pair_tensors.vocabulary)
            self._batching = Batching.STATIC if alike else Batching.EQUAL
        weights.batching = self._batching

    def _try_one_pass(self) -> None:
        try:
            self.one_pass = OnePassWeights(self._pair_tensors, self._recipes)
        except CannotMixError as error:
            self._give_up_one_pass(str(error))
            return
        self.one_pass.in_pages = self.in_place.in_pages
        if self._no_slots:
            self._start_together(self.one_pass)
        if self._mode == "auto":
            self.note += "; λ in place where that is measured to be cheaper"

    def _give_up_one_pass(self, reason: str) -> None:
        self.one_pass = None
        self.note = engine_words(reason, self._no_slots)


def _one_block(reason: str) -> str:
    return f"; the cache is as long for all responses as for the longest: {reason}"


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
