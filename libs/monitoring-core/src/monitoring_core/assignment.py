"""Which producer checks which targets: its ID alone decides its range, so producers need not coordinate."""

from __future__ import annotations


def producers_needed(active_targets: int, websites_per_container: int) -> int:
    """How many producers a location needs so that every active target is checked: the quotient, rounded up."""
    return -(-active_targets // websites_per_container)


def rank_range(producer_id: int, websites_per_container: int) -> range:
    """The zero-based ranks of the targets that a producer checks, in order of id among the active targets.

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
