"""Studies that are killed, watched and disturbed for long."""
