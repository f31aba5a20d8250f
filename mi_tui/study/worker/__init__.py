"""The worker process: plans rounds, generates, scores and stores."""
