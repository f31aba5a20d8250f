"""The mi-tui command: thin, one module per group of subcommands."""
