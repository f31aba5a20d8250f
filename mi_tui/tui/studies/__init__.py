"""Studies in the app: watching one, commands to it, exports, responses."""
