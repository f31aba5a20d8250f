"""A study on disk: directory, lock, SQLite store and its schema."""
