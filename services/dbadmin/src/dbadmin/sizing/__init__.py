"""How much of everything a number of targets needs."""
