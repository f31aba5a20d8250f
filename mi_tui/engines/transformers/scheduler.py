"""The scheduler: which sequences join and leave the batch, by which strategy, at which size."""

from collections import Counter, abc
from collections.abc import Callable, Iterable

from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.decoding.batch_kind import AnyDecoder, decoder_for, fits_decoder
from mi_tui.engines.transformers.decoding.request_queue import RequestQueue
from mi_tui.engines.transformers.decoding.sequence import Finished, Sequence
from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.model.forward import Batching
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.weights.cost_model import Work
from mi_tui.engines.transformers.weights.strategy import Strategies, Strategy

_GROW_BACK_AFTER = 256
"""Steps after which a batch that had to shrink takes in as many sequences as fit by then."""

_FEW = 8
"""Less than a capacity's eighth is few: too few to join alone, few enough to give way."""


_REMEMBERED = 256
"""Responses after which the mean length forgets half of what it knows."""


class Scheduler:
    """Keeps the decoder's batch full of the right sequences.

    In place, sequences of one recipe at a time are in the batch; its last few stragglers are parked
    while other recipes wait, and finish together in one pass where that is possible.
    """

    def __init__(
        self,
        strategies: Strategies,
        pair_tensors: PairTensors,
        *,
        batch_size: int,
        end_tokens: Iterable[int],
    ) -> None:
        self._strategies = strategies
        self._device = pair_tensors.device
        self._batch_size = batch_size
        self._end_tokens = frozenset(end_tokens)
        self._queue = RequestQueue()
        self._decoder = self._new_decoder(batch_size)
        self._strategy: Strategy = "in-place"
        self._reconsider = True
        self._steps_since_resized = 0
        self._alone = False
        self._lengths = (0.0, 0.0)

    @property
    def pending(self) -> int:
        """Sequences that wait or run."""
        return len(self._queue) + len(self._decoder.sequences)

    @property
    def batch_size(self) -> int:
        """How many sequences are generated at once, when memory allows."""
        return self._batch_size

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences."""
        self._queue.add(sequences)
        self._reconsider = True

    def drop(self, leaves: Callable[[Sequence], bool]) -> None:
        """Forget the sequences, queued or running, for which ``leaves`` is true."""
        self._queue.drop(leaves)
        self._decoder.release(leaves)

    def advance(self) -> list[Finished]:
        """Let sequences join, draw one token for each sequence in the batch, return what finished.

        Raises:
            EngineError: memory does not even suffice for one sequence.
        """
        if self._reconsider:
            self._choose_strategy()
        finished = []
        if self._queue and self._decoder.room:
            self._guarded(self._admit)
            finished = self._decoder.collect()
        if self._decoder.sequences:
            if self._guarded(self._decoder.step):
                self._alone = False
                self._steps_since_resized += 1
            finished += self._decoder.collect()
        self._grow_back()
        if finished:
            self._note_lengths(finished)
            self._park_stragglers()
            self._go_on_alone()
        return finished

    def _note_lengths(self, finished: abc.Sequence[Finished]) -> None:
        """Remember how long responses are; those of long ago fade."""
        made, count = self._lengths
        fade = 0.5 if count > _REMEMBERED else 1.0
        made += sum(len(done.tokens) for done in finished)
        self._lengths = fade * made, fade * (count + len(finished))

    def _choose_strategy(self) -> None:
        """Choose the strategy for the work at hand; sequences that can go on under it do."""
        self._reconsider = False
        sequences = self._decoder.sequences
        strategy = self._strategies.choose(
            self._work(), self._decoder.capacity, self._strategy if sequences else None
        )
        if strategy == "one-pass":
            self._queue.put_back(self._decoder.release(lambda sequence: sequence.alone))
        elif sequences:
            ((kept, _),) = Counter(sequence.recipe for sequence in sequences).most_common(1)
            self._queue.put_back(self._decoder.release(lambda sequence: sequence.recipe != kept))
        self._switch_to(strategy)

    def _switch_to(self, strategy: Strategy) -> None:
        """Exchange the weights; the cache does not depend on the strategy."""
        self._strategy = strategy
        weights = self._strategies.weights(strategy)
        if not fits_decoder(self._decoder, weights):
            # The start-up check, before which nothing is generated, has chosen another cache.
            self._decoder = self._new_decoder(self._decoder.capacity)
        self._decoder.weights = weights

    def _new_decoder(self, capacity: int) -> AnyDecoder:
        return decoder_for(
            self._strategies.in_place,
            capacity=capacity,
            end_tokens=self._end_tokens,
            device=self._device,
        )

    def _work(self) -> Work:
        sequences = [*self._decoder.sequences, *self._queue]
        made, count = self._lengths
        prompt = sum(len(sequence.request.prompt) for sequence in sequences) / max(
            1, len(sequences)
        )
        caps = sum(sequence.request.max_new_tokens for sequence in sequences) / max(
            1, len(sequences)
        )
        return Work(
            sequences=Counter(sequence.recipe for sequence in sequences),
            prompt_tokens=prompt,
            response_tokens=made / count if count else min(256.0, caps),
        )

    def _fits(self) -> Callable[[Sequence], bool]:
        """Which queued sequences may join those in the batch."""
        length: int | None = None
        if self._strategy == "one-pass":
            first = next((sequence for sequence in self._queue if not sequence.alone), None)
        else:
            first = self._decoder.sequences[0] if self._decoder.sequences else self._queue.first
        if first is not None and self._decoder.weights.batching is Batching.EQUAL:
            length = first.length

        def fits(sequence: Sequence) -> bool:
            if length is not None and sequence.length != length:
                return False
            if self._strategy == "one-pass":
                return not sequence.alone
            return first is not None and sequence.recipe == first.recipe

        return fits

    def _admit(self) -> None:
        """Let queued sequences join, many at once: each prefill is a pass of its own."""
        while self._queue and self._decoder.room:
            fits = self._fits()
            matching = self._queue.count(fits)
            joining = min(matching, self._decoder.room)
            if not joining:
                self._admit_those_left_over()
                return
            if joining < matching and joining * _FEW < self._decoder.capacity:
                return
            sequences = self._queue.take(joining, fits)
            can_join = self._decoder.can_join(sequences)
            self._queue.put_back(sequences[can_join:])
            del sequences[can_join:]
            if not sequences:
                return
            try:
                self._decoder.admit(sequences)
            except BaseException:
                self._queue.put_back(sequences)
                raise

    def _admit_those_left_over(self) -> None:
        """Sequences that cannot share a pass (baselines) wait until the batch is empty."""
        if self._strategy == "one-pass" and not self._decoder.sequences:
            self._switch_to("in-place")

    def _park_stragglers(self) -> None:
        """In place, park the last few sequences of a recipe for the next one if that pays."""
        if (
            self._strategy == "one-pass"
            or self._strategies.one_pass is None
            or not self._queue.has_fresh
        ):
            return
        few = len(self._decoder.sequences) * _FEW < self._decoder.capacity
        if few and not self._queue.count(self._fits()) and self._parking_pays():
            parked = self._decoder.release(lambda sequence: not sequence.parked)
            for sequence in parked:
                sequence.parked = True
            self._queue.add(parked)
            self._reconsider = True

    def _parking_pays(self) -> bool:
        work = self._work()
        lengths, capacity = self._decoder.lengths, self._decoder.capacity
        return self._strategies.parking_pays(lengths, work, capacity)

    def _go_on_alone(self) -> None:
        """Finish sequences of one pass in place once all that are left have one recipe."""
        sequences = self._decoder.sequences
        if self._strategy == "one-pass" and sequences and not self._queue:
            same = all(sequence.recipe == sequences[0].recipe for sequence in sequences)
            if same and self._strategies.choose(self._work(), self._decoder.capacity) == "in-place":
                self._switch_to("in-place")

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Run one act of the decoder; when memory runs out, shrink the batch for the next.

        Returns:
            Whether the act was done.
        """
        try:
            act()
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
        else:
            return True
        # Only here: the error, while it is handled, keeps what the act had taken.
        self._shrink()
        return False

    def _shrink(self) -> None:
        """Give room back: that of no sequence first, then that of as many as do not fit.

        Raises:
            EngineError: a single sequence does not fit, with nothing else in the cache.
        """
        given_way = self._decoder.give_way()
        if given_way:
            self._queue.put_back(given_way)
            return
        memory.release_unused(self._device)
        capacity, live = self._decoder.capacity, len(self._decoder.sequences)
        if capacity > 1:
            fitting = self._decoder.sequences_that_fit()
            if fitting is None or fitting >= capacity:  # something else than the cache took it
                fitting = live if 0 < live < capacity else capacity // 2
            self._resize(max(1, fitting))
        elif not self._alone:
            self._alone = True
            self._queue.put_back(self._decoder.release(lambda _: True))
            self._resize(1)
        else:
            raise EngineError(
                "out of memory with a single response: lower max_new_tokens, choose a smaller "
                "dtype or a larger device"
            )

    def _grow_back(self) -> None:
        """Make room for as many sequences as fit; where memory is not there after all, stay."""
        capacity = self._decoder.capacity
        if (
            capacity == self._batch_size
            or not self._queue
            or self._steps_since_resized < _GROW_BACK_AFTER
        ):
            return
        fitting = self._decoder.sequences_that_fit(ahead=True)
        wanted = min(self._batch_size, 2 * capacity, fitting or self._batch_size)
        self._steps_since_resized = 0
        if wanted > capacity:
            try:
                self._resize(wanted)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
                memory.release_unused(self._device)

    def _resize(self, sequences: int) -> None:
        self._queue.put_back(self._decoder.resize(sequences))
        memory.release_unused(self._device)
        self._steps_since_resized = 0
