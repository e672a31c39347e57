"""The functions behind the commands that study several runs at once: with `rung.workbench`, the public Python API."""
