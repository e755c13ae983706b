"""What is asked of a website."""

from __future__ import annotations

import requests
from hypothesis import given
from hypothesis import strategies as st

from monitoring_core.targets import PLAIN_URL


@given(st.from_regex(PLAIN_URL, fullmatch=True))
def test_a_plain_url_is_asked_for_as_it_is(url: str) -> None:
    """It is in the normal form of requests already, which both engines ask for."""
    try:
        normal = requests.Request("GET", url).prepare().url
    except requests.exceptions.InvalidURL:  # a label of more than 63 characters
        return
    assert normal == url
