"""The app: screens and widgets over studies.

Reads plan, study and export; does no work of its own.
"""
