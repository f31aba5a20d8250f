"""Weights of a recipe: one pass or in place, and the cost model that chooses."""
