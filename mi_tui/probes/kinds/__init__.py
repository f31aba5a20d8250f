"""The kinds of probe, one module each; a module registers its own when it is imported."""
