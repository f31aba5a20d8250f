"""Colours by role: ``success``, ``warning``, ``error``, ``primary``, ``secondary``."""

from collections.abc import Callable

Colours = Callable[[str], str]
"""Gives the Rich colour of a role in the theme at hand."""
