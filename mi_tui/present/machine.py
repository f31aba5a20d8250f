"""This machine in one line."""

import platform

from mi_tui.machine.resources import Machine
from mi_tui.text.sizes import in_bytes


def machine_words(machine: Machine, free_disk: int) -> str:
    """What a machine is, in one line: name, cores, memory, accelerators, room for studies."""
    cores = f"{machine.cores} core{'' if machine.cores == 1 else 's'}"
    parts = [platform.node(), cores, f"{in_bytes(machine.memory_total)} memory"]
    if machine.gpus:
        first = machine.gpus[0]
        count = f"{len(machine.gpus)} × " if len(machine.gpus) > 1 else ""
        room = "shares memory" if first.unified else f"{in_bytes(first.free)} free"
        parts.append(f"{count}{first.name}, {room}")
    else:
        parts.append(machine.gpu_problem or "no GPU")
    return " · ".join([*parts, f"{in_bytes(free_disk)} of disk free"])
