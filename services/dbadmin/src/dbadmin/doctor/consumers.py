"""The groups of consumers and of alert-svc, and the messages that wait for them."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # its own name

from dbadmin.doctor.cluster import when_started
from dbadmin.doctor.findings import Finding, failed, passed, warned
from monitoring_runtime.commands import counted
from monitoring_runtime.kafka import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbadmin.doctor.cluster import Cluster

# The largest number of waiting messages that does not yet mean too few consumers.
_LAG = 10_000
# Consumers and alert-svc are done with a message within seconds; after this time people are told late.
LATE_S = 300
# After this time nobody can rely on the results: something keeps the consumers from storing them.
_VERY_LATE_S = 3_600
_UNTOLD = ", whose number this broker does not tell"


def check_lag(cluster: Cluster, partitions: int) -> Iterator[Finding]:
    """How many consumers run, how many messages wait for them, and whether some of them are late.

    A consumer that cannot store anything has a short lag where there are few websites.
    """
    group = cluster.config.consumer.group_id
    members, waiting = _members(cluster, group), next_offsets(cluster, group, partitions)
    ends = offsets(cluster, partitions, OffsetSpec.latest())
    lags = {number: ends[number] - offset for number, offset in waiting.items()}
    total, text = sum(lags.values()), _waiting(lags)
    subject, tell = f"group {group}", warned
    who = f"consumers{_UNTOLD}" if members is None else counted(members, "consumer")
    late = bool(total) and bool(older(cluster, waiting, LATE_S))
    if late and older(cluster, waiting, _VERY_LATE_S):
        tell, text = failed, f"{text}, the oldest for more than {_VERY_LATE_S // 60} min"
    elif late:
        text = f"{text}, the oldest for more than {LATE_S // 60} min"
    if members == 0:
        yield tell(subject, f"no consumer runs, {text}", "start consumer-svc run")
    elif late:
        mend = "see in /readyz and the log of consumer-svc what keeps it, or start more, up to one a partition"
        yield tell(subject, f"{text} for {who}", mend)
    elif total > _LAG:
        yield warned(subject, f"{text} for {who}", "start more consumers, up to one a partition")
    else:
        yield passed(subject, f"{who}, {text}")


def check_alert_lag(cluster: Cluster, partitions: int) -> Iterator[Finding]:
    """How many of alert-svc run, how many messages they have not decided, and whether some of them are late."""
    group = cluster.config.consumer.alert_group_id
    subject, members = f"group {group}", _members(cluster, group)
    if members == 0 and not committed(cluster, group, partitions):
        yield passed(subject, "alert-svc has not run in it")
        return
    ends = offsets(cluster, partitions, OffsetSpec.latest())
    undecided = next_offsets(cluster, group, partitions)
    text = _waiting({number: ends[number] - offset for number, offset in undecided.items()})
    if members == 0:
        yield warned(subject, f"no alert-svc runs, {text}", "start alert-svc run")
    elif older(cluster, undecided, LATE_S):
        text = f"{text}, the oldest for more than {LATE_S // 60} min"
        yield warned(subject, text, "see why alert-svc does not decide them, or start more, up to one a partition")
    else:
        who = f"alert-svc{_UNTOLD}" if members is None else f"{members} of alert-svc"
        yield passed(subject, f"{who}, {text}")


def _waiting(lags: dict[int, int]) -> str:
    total, most = sum(lags.values()), max(lags, key=lambda number: lags[number])
    text = "1 message waits" if total == 1 else f"{total:,} messages wait"
    return text + (f", {lags[most]:,} of them in partition {most}" if total else "")


def _members(cluster: Cluster, group: str) -> int | None:
    """How many members a group has; None when it has some, but the broker does not tell them."""

    def describe() -> Any:
        asked = cluster.admin.describe_consumer_groups([group], request_timeout=cluster.timeout_s)
        return asked[group].result(cluster.timeout_s)

    try:
        told = when_started(cluster, describe)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:  # nobody has consumed yet
            return 0
        raise
    return None if told.state == ConsumerGroupState.STABLE and not told.members else len(told.members)


def next_offsets(cluster: Cluster, group: str, partitions: int) -> dict[int, int]:
    """The offset of the first message of each partition that a group has not committed."""
    done = committed(cluster, group, partitions)
    begins = offsets(cluster, partitions, OffsetSpec.earliest())
    return {number: max(done.get(number, 0), begin) for number, begin in begins.items()}


def older(cluster: Cluster, waiting: dict[int, int], seconds: float) -> list[int]:
    """The partitions whose message at the offset in `waiting`, or a later one, is older than this."""
    moment = OffsetSpec.for_timestamp(int((time.time() - seconds) * 1000))
    # In this order, a message that comes meanwhile is not taken for an old one.
    ends, newer = offsets(cluster, len(waiting), OffsetSpec.latest()), offsets(cluster, len(waiting), moment)
    # Kafka answers -1 for a partition that has no newer message, as for an empty one.
    firsts = {number: newer[number] if newer[number] >= 0 else ends[number] for number in ends}
    return [number for number, first in firsts.items() if waiting[number] < first]


def committed(cluster: Cluster, group: str, partitions: int) -> dict[int, int]:
    """The offset that a group has committed, for each partition in which it has.

    Asked as a member of the group would, though none joins it: librdkafka's administrator crashes when the group's
    coordinator has just started or moved (librdkafka#5040).
    """
    places = [TopicPartition(cluster.config.kafka.topic_name, number) for number in range(partitions)]
    settings = cluster.properties | {"group.id": group, "enable.auto.commit": False}
    with closing(Consumer(settings, logger=SILENT)) as consumer:
        found = when_started(cluster, lambda: consumer.committed(places, cluster.timeout_s))
    return {place.partition: place.offset for place in found if place.offset >= 0}


def offsets(cluster: Cluster, partitions: int, spec: OffsetSpec) -> dict[int, int]:
    """The offset that a specification means in each partition of the topic of results."""
    topic = cluster.config.kafka.topic_name
    asked = {TopicPartition(topic, number): spec for number in range(partitions)}
    found = cluster.admin.list_offsets(asked, request_timeout=cluster.timeout_s)
    return {part.partition: future.result(cluster.timeout_s).offset for part, future in found.items()}
