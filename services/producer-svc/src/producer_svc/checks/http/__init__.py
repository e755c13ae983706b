"""Checks of a website over HTTP and HTTPS. `engines` says which of the two engines makes them."""
