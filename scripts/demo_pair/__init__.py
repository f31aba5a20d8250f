"""Parts of ``scripts/train_demo_pair.py``: the pair's language, training, measurement, README."""
