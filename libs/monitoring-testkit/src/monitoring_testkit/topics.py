"""The messages of a topic, read without the code under test."""

from __future__ import annotations

import contextlib
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

_READ_S = 120.0


def messages(bootstrap_servers: str, topic: str) -> list[Message]:
    """All messages of a topic, in the order of each partition.

    A partition is read until the broker reports its end, because the watermarks of the embedded broker count batches.

    Raises:
        AssertionError: the end is not reached within a minute.
        KafkaException: the topic cannot be read.
    """
    settings: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": "oracle",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 20,
    }
    with contextlib.closing(Consumer(settings)) as consumer:
        unread = set(consumer.list_topics(topic, 10).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in unread])
        found: list[Message] = []
        deadline = time.monotonic() + _READ_S
        while unread:
            assert time.monotonic() < deadline, f"the end of {topic} is not reached: {len(found)} messages"
            for message in consumer.consume(1000, 0.1):
                if (error := message.error()) is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
        return found


def headers(message: Message) -> dict[str, str]:
    """The headers of a message, each of which must be text."""
    found = {}
    for name, value in dict(message.headers() or {}).items():
        assert isinstance(value, bytes), f"header {name} is {value!r}"
        found[name] = value.decode()
    return found
