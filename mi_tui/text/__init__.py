"""Texts at the bottom of the house: plain text, sizes in words, HTML for notebooks."""
