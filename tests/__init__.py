"""Tests, one folder per part."""
