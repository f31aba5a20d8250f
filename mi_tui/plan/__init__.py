"""What a study is asked to do, as frozen data: recipe, scope, decoding, budget, preset.

Imports nothing else of mi_tui but ``mi_tui.errors``; every other package builds on it.
"""
