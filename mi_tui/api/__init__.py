"""The Python interface: what a script, the commands and the app do to checkpoints and studies.

The names of everyday use are in ``mi_tui`` itself.
"""
