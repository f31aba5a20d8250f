"""A merged checkpoint on disk or in memory: plan, workers, shards, staging, manifest, model card.

``write.merge`` is the way in.
"""
