"""The resources of a machine: its main memory, its cores and its GPUs together."""

from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from mi_tui.machine.gpus import Gpu, visible_gpus
from mi_tui.machine.host import core_count, main_memory
from mi_tui.text.sizes import in_bytes


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


def usable_machine() -> Machine:
    """This machine, as the torch that is installed can use it; torch is not imported for that."""
    try:
        installed: str | None = version("torch")
    except PackageNotFoundError:
        installed = None
    return usable(this_machine(), installed)


def usable(machine: Machine, torch_version: str | None) -> Machine:
    """A machine as this torch can use it: one that is built for CPUs only sees no GPU.

    Args:
        machine: what is there.
        torch_version: such as ``2.9.0+cpu`` (pytorch.org names builds so); ``None``: no torch.
    """
    if not machine.gpus or torch_version is None or not torch_version.endswith("+cpu"):
        return machine
    cards = f"{len(machine.gpus)} × {machine.gpus[0].name}"
    free = in_bytes(sum(gpu.free for gpu in machine.gpus))
    problem = f"{cards}, {free} free, not used by torch {torch_version}, which is built for CPUs"
    return replace(machine, gpus=(), gpu_problem=problem)
