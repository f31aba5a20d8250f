"""A pretended CUDA device: real values on the CPU, CUDA's rules, and everything counted."""
