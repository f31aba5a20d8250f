"""The scorers, one module each; a module registers its own when it is imported."""
