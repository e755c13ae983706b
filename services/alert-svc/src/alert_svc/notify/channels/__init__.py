"""Ways to send a message, a module for each."""
