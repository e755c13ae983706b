"""The servers on this machine, and what is said when one cannot start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_stack.servers import embedded_postgresql
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_too_deep_for_a_socket_is_refused_with_the_mend(tmp_path: Path) -> None:
    """PostgreSQL's own error would not say what to do."""
    with pytest.raises(StopError, match="choose a folder of a shorter one"), embedded_postgresql(tmp_path / ("a" * 90)):
        pass
