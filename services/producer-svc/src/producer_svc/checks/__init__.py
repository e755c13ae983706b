"""All that makes checks and judges them, by kind: `kinds` has the table, `http` is the only kind so far."""
