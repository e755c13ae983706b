"""Which producer works which targets: one range of ranks each, no coordination."""

from __future__ import annotations


def producers_needed(active_targets: int, websites_per_container: int) -> int:
    """How many producers a location needs so that every active target is worked: the quotient, rounded up."""
    return -(-active_targets // websites_per_container)


def rank_range(producer_id: int, websites_per_container: int) -> range:
    """The zero-based ranks, in order of target id among the active targets, that a producer works.

    Args:
        producer_id: one-based.
        websites_per_container: the size of each range.

    Raises:
        ValueError: an argument is below 1.
    """
    if producer_id < 1:
        raise ValueError(f"producer id must be 1 or more, got {producer_id}")
    if websites_per_container < 1:
        raise ValueError(f"websites per container must be 1 or more, got {websites_per_container}")
    first = (producer_id - 1) * websites_per_container
    return range(first, first + websites_per_container)
