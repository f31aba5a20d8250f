"""Plans as frozen data: recipe, scope, decoding, budget, probes, preset.

Imports nothing else of mi_tui but ``mi_tui.errors``; every other package builds on it.
"""
