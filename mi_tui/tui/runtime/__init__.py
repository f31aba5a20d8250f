"""What the app runs on: settings, themes, signals, background threads."""
