"""Exports of a study: preset, JSON, mergekit YAML, report, serve script, checkpoint."""
