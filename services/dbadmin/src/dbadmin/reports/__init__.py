"""Reports of a month: how available websites were, and how much of that is known."""
