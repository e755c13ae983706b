"""Test helpers that ship with the package. `strategies` needs the extra `testing`."""
