"""What a study leaves behind: preset, JSON, mergekit YAML, checkpoint, report."""
