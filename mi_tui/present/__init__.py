"""Numbers, columns, signs and sentences as the CLI, the app, CSV and HTML show them.

Text only: no screen and no terminal is known here.
"""
