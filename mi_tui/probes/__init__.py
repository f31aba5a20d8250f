"""Problems, drawn from frozen, hashed probes, and how a response to them is scored."""
