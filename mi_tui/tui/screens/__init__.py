"""One module per screen: home, the five steps, help.

A screen shows and asks; it posts messages and leaves every action to the app.
"""
