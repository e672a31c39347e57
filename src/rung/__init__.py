"""rung: from labelled images to a classifier one can trust, fast."""
