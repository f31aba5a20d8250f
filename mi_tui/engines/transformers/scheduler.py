"""Who generates when: rows join, leave, give way; one pass or in place; a batch that fits."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.decoding.decoder import SlotDecoder
from mi_tui.engines.transformers.decoding.request_queue import WaitingRows
from mi_tui.engines.transformers.decoding.sequence import Finished, Row
from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.model.pair_tensors import Sources
from mi_tui.engines.transformers.weights.cost_model import Work
from mi_tui.engines.transformers.weights.strategy import Way, Ways

_GROW_BACK_AFTER = 256
"""Steps without running out of memory after which a halved batch is doubled again."""

_FEW = 8
"""Less than a capacity's eighth is few: too few to join alone, few enough to give way."""


_REMEMBERED = 256
"""Responses after which the mean length forgets half of what it knows."""


class Scheduler:
    """Keeps the decoder's batch full of the right rows.

    In place, rows of one recipe at a time are in the batch; its last few stragglers are parked
    while other recipes wait, and finish together in one pass where that is possible.
    """

    def __init__(
        self, ways: Ways, sources: Sources, *, rows: int, end_tokens: Iterable[int]
    ) -> None:
        self._ways = ways
        self._device = sources.device
        self._wanted_rows = rows
        self._waiting = WaitingRows()
        self._decoder = SlotDecoder(
            ways.in_place, capacity=rows, end_tokens=end_tokens, device=sources.device
        )
        self._way: Way = "in-place"
        self._reconsider = True
        self._steps_since_shrunk = 0
        self._lengths = (0.0, 0.0)

    @property
    def pending(self) -> int:
        """Rows that wait or run."""
        return len(self._waiting) + len(self._decoder.rows)

    @property
    def rows(self) -> int:
        """How many rows are generated at once, when memory allows."""
        return self._wanted_rows

    def add(self, rows: Iterable[Row]) -> None:
        """Queue rows."""
        self._waiting.add(rows)
        self._reconsider = True

    def drop(self, leaves: Callable[[Row], bool]) -> None:
        """Forget the rows, waiting or running, for which ``leaves`` is true."""
        self._waiting.drop(leaves)
        self._decoder.release(leaves)

    def advance(self) -> list[Finished]:
        """Let rows join, draw one token for each row in the batch, return what finished.

        Raises:
            EngineError: memory does not even suffice for one row.
        """
        if self._reconsider:
            self._choose_way()
        finished = []
        if self._waiting and self._decoder.room:
            self._guarded(self._admit)
            finished = self._decoder.collect()
        if self._decoder.rows:
            self._guarded(self._decoder.step)
            finished += self._decoder.collect()
        if finished:
            self._note_lengths(finished)
            self._park_stragglers()
            self._go_on_alone()
        return finished

    def _note_lengths(self, finished: Sequence[Finished]) -> None:
        """Remember how long responses are; those of long ago fade."""
        made, count = self._lengths
        fade = 0.5 if count > _REMEMBERED else 1.0
        made += sum(len(done.tokens) for done in finished)
        self._lengths = fade * made, fade * (count + len(finished))

    def _choose_way(self) -> None:
        """Settle how the work at hand is done; the rows that can go on in the new way do."""
        self._reconsider = False
        rows = self._decoder.rows
        way = self._ways.choose(self._work(), self._decoder.capacity, self._way if rows else None)
        if way == "one-pass":
            self._waiting.put_back(self._decoder.release(lambda row: row.alone))
        elif rows:
            ((kept, _),) = Counter(row.recipe for row in rows).most_common(1)
            self._waiting.put_back(self._decoder.release(lambda row: row.recipe != kept))
        self._work_in(way)

    def _work_in(self, way: Way) -> None:
        """Exchange the weights; what rows have in the cache does not depend on the way."""
        self._way = way
        self._decoder.weights = self._ways.weights(way)

    def _work(self) -> Work:
        rows = [*self._decoder.rows, *self._waiting]
        made, count = self._lengths
        prompt = sum(len(row.request.prompt) for row in rows) / max(1, len(rows))
        caps = sum(row.request.max_new_tokens for row in rows) / max(1, len(rows))
        return Work(
            rows=Counter(row.recipe for row in rows),
            prompt_tokens=prompt,
            response_tokens=made / count if count else min(256.0, caps),
        )

    def _fits(self) -> Callable[[Row], bool]:
        """Which waiting rows may join those in the batch."""
        if self._way == "one-pass":
            return lambda row: not row.alone
        first = self._decoder.rows[0] if self._decoder.rows else self._waiting.first
        recipe = first.recipe if first is not None else None
        return lambda row: row.recipe == recipe

    def _admit(self) -> None:
        """Let waiting rows join, many at once: each reading of prompts is a pass of its own."""
        while self._waiting and self._decoder.room:
            fits = self._fits()
            matching = self._waiting.count(fits)
            joining = min(matching, self._decoder.room)
            if not joining:
                self._admit_those_left_over()
                return
            if joining < matching and joining * _FEW < self._decoder.capacity:
                return
            rows = self._waiting.take(joining, fits)
            try:
                self._decoder.admit(rows)
            except BaseException:
                self._waiting.put_back(rows)
                raise

    def _admit_those_left_over(self) -> None:
        """Rows that cannot share a pass (baselines) wait until the batch is empty."""
        if self._way == "one-pass" and not self._decoder.rows:
            self._work_in("in-place")

    def _park_stragglers(self) -> None:
        """In place, let the last few rows of a recipe give way to the next recipe if that pays."""
        if self._way == "one-pass" or self._ways.one_pass is None or not self._waiting.has_fresh:
            return
        few = len(self._decoder.rows) * _FEW < self._decoder.capacity
        if few and not self._waiting.count(self._fits()) and self._parking_pays():
            parked = self._decoder.release(lambda row: not row.parked)
            for row in parked:
                row.parked = True
            self._waiting.add(parked)
            self._reconsider = True

    def _parking_pays(self) -> bool:
        work = self._work()
        lengths, capacity = self._decoder.lengths, self._decoder.capacity
        return self._ways.parking_pays(lengths, work, capacity)

    def _go_on_alone(self) -> None:
        """Once the rows left in one pass are all of one recipe, finish them as a single model."""
        rows = self._decoder.rows
        if self._way == "one-pass" and rows and not self._waiting:
            same = all(row.recipe == rows[0].recipe for row in rows)
            if same and self._ways.choose(self._work(), self._decoder.capacity) == "in-place":
                self._work_in("in-place")

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
        shrunk = self._decoder.capacity < self._wanted_rows
        if shrunk and self._steps_since_shrunk >= _GROW_BACK_AFTER:
            self._resize(min(self._wanted_rows, self._decoder.capacity * 2))

    def _resize(self, rows: int) -> None:
        self._waiting.put_back(self._decoder.resize(rows))
        memory.release_unused(self._device)
        self._steps_since_shrunk = 0
