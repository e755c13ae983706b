"""Fakes of the producer's ports, and the contract that each of them and the real adapter pass."""

import pytest

# So that a promise that is broken shows the values that were compared.
pytest.register_assert_rewrite(f"{__name__}.contracts")
