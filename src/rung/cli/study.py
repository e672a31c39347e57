"""The commands that study several runs at once."""
