"""Dialogs over a screen: questions, choices, help, probe forms."""
