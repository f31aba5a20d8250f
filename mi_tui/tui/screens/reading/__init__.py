"""Screens to read: responses, one problem under several λ, examples, the relative gap."""
