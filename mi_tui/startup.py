"""The garbage collector, kept from looking where there is no garbage.

The only module that touches it: what is switched off in one place must not be on in another.
"""

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
    with uncollected():
        try:
            yield
        finally:
            gc.freeze()


@contextmanager
def uncollected() -> Iterator[None]:
    """Do without the garbage collector in work that makes no cyclic garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def leave_all_as_it_is() -> None:
    """Find no garbage any more: at the end all memory goes with the process."""
    gc.freeze()
