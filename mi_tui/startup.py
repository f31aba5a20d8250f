"""Keep Python's garbage collector from looking where there is no garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports_uncollected() -> Iterator[None]:
    """Keep the garbage collector from imported modules, which stay for good.

    It would take a quarter of the time that torch and transformers need to be imported, and look
    through all of it again and again later. What is garbage before is collected: it would stay,
    too.
    """
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
