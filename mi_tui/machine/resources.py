"""The resources of a machine: its main memory, its cores and its GPUs together."""

from dataclasses import dataclass

from mi_tui.machine.gpus import Gpu, visible_gpus
from mi_tui.machine.host import core_count, main_memory


@dataclass(frozen=True, slots=True)
class Machine:
    """What a process has to work with; sizes in bytes.

    ``gpu_problem`` says in one line why GPUs could not be looked for, and is empty when they
    could, whether there are any or not.
    """

    gpus: tuple[Gpu, ...]
    memory_total: int
    memory_free: int
    cores: int = 1
    gpu_problem: str = ""


def this_machine() -> Machine:
    """Ask the system; takes well under a second where ``nvidia-smi`` is quick."""
    memory = main_memory()
    found = visible_gpus(memory)
    return Machine(found.gpus, memory.total, memory.available, core_count(), found.problem)
