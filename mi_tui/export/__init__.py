"""What a study leaves behind: preset, JSON, mergekit YAML, report, serve script, checkpoint."""
