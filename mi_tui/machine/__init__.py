"""The machine: memory, cores, free disk and GPUs, found out without torch.

Everything that depends on the machine asks here: preflight, placement, doctor, merge threads.
"""
