"""The ground of the app: settings, themes, signals, background threads."""
