"""Making and judging checks, by kind: `kinds` lists the kinds, of which `http` is the only one so far."""
