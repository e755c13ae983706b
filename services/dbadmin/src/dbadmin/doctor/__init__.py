"""Looking at a set-up from outside: what is wrong in it, and what mends it."""
