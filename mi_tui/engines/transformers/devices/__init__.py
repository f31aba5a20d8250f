"""Devices: memory, placement of tensors, layers over several GPUs, plans for replicas."""
