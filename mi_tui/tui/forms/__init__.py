"""Forms: the draft of a preset as text, and how it is read."""
