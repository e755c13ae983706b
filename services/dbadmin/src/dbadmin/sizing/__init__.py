"""How much of everything a number of targets needs, and how much of it is there."""
