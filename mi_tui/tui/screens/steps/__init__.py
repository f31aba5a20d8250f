"""The five steps: models, budget, scope, probe, recommend."""
