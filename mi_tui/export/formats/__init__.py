"""The export formats, one file each; see ``mi_tui.export.format``."""
