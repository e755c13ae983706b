"""An installation with TLS, client certificates and least privileges, from nothing to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dbadmin.cli import main

if TYPE_CHECKING:
    from local_stack.secured import Secured

pytestmark = pytest.mark.end_to_end


def test_setup_makes_everything(secured: Secured) -> None:
    done = CliRunner().invoke(main, ["setup", "--config", str(secured.config_file)])
    assert done.exit_code == 0, done.output
