"""One module per outside system, imported by wiring alone."""
