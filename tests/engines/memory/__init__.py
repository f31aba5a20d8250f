"""Tests of mi_tui.engines.memory."""
