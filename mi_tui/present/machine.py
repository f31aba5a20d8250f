"""What this machine is, in one line for the home screen."""

import os
import platform

from mi_tui.checkpoints.machine import Machine
from mi_tui.sizes import in_bytes


def machine_words(machine: Machine, free_disk: int) -> str:
    """What a machine is, in one line: name, cores, memory, accelerators, room for studies."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [platform.node(), f"{cores} cores", f"{in_bytes(machine.memory_total)} memory"]
    if machine.gpus:
        first = machine.gpus[0]
        count = f"{len(machine.gpus)} × " if len(machine.gpus) > 1 else ""
        parts.append(f"{count}{first.name}, {in_bytes(first.free)} free")
    else:
        parts.append("no GPU")
    return " · ".join([*parts, f"{in_bytes(free_disk)} of disk free"])
