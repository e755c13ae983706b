"""How far each partition is stored, and the gaps, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from consumer_svc.places import Gap, Places
from consumer_svc.ports import BehindError
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from consumer_svc.places import Asked, Progress
    from monitoring_runtime.topics import Topic, TopicState

_OF_TOPIC = "cluster = %(cluster)s AND topic = %(name)s AND topic_id = %(id)s"
_FIND = f"SELECT partition, next_offset FROM {{availability_position}} WHERE {_OF_TOPIC}"  # noqa: S608 (constants)
# Another consumer may have made the row a moment ago.
_ADD = """
INSERT INTO {availability_position}
SELECT %(cluster)s, %(name)s, %(id)s, * FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[])
ON CONFLICT DO NOTHING"""
_SET = f"""
UPDATE {{availability_position}} AS p SET next_offset = b.next_offset
FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[]) AS b (partition, next_offset)
WHERE {_OF_TOPIC} AND p.partition = b.partition"""  # noqa: S608 (constants)
# A row that is behind the batch's begin is not found, and neither is one that the database lacks.
_ADVANCE = f"""
UPDATE {{availability_position}} AS p SET next_offset = greatest(p.next_offset, b.ends)
FROM unnest(%(partitions)s::int[], %(begins)s::bigint[], %(ends)s::bigint[]) AS b (partition, begins, ends)
WHERE {_OF_TOPIC} AND p.partition = b.partition AND p.next_offset >= b.begins"""  # noqa: S608 (constants)
_NOTE = """
INSERT INTO {availability_gap} AS old (cluster, topic, topic_id, partition, reason, first_offset, next_offset, messages)
VALUES (%(cluster)s, %(name)s, %(id)s, %(partition)s, %(reason)s, %(first_offset)s, %(next_offset)s, %(messages)s)
ON CONFLICT (cluster, topic, topic_id, partition, reason) DO UPDATE SET
    first_offset = least(old.first_offset, excluded.first_offset), next_offset = excluded.next_offset,
    messages = old.messages + excluded.messages, last_seen_at = now()
WHERE excluded.next_offset > old.next_offset OR excluded.reason = 'set_back'"""
# How much of the former topic was not stored, nobody can tell any more.
_NOTE_REPLACED = """
INSERT INTO {availability_gap} (cluster, topic, topic_id, partition, reason, first_offset, next_offset, messages)
SELECT cluster, topic, topic_id, partition, 'topic_replaced', next_offset, next_offset, 0 FROM {availability_position}
WHERE cluster = %(cluster)s AND topic = %(name)s AND topic_id NOT IN ('', %(id)s)
ON CONFLICT DO NOTHING RETURNING partition, first_offset"""


class Positions:
    """The positions and gaps in the tables of one schema. Each call is part of the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def place(self, cursor: psycopg.Cursor[Any], state: TopicState, asked: Asked) -> Places:
        """What consumer_svc.ports.Writer.place promises."""
        topic = state.topic
        cursor.execute(composed(_FIND, self._schema), attrs.asdict(topic))
        found = {int(partition): int(offset) for partition, offset in cursor.fetchall()}
        begins = {n: state.begins[n] for n in asked.waiting | asked.read if n in state.begins}
        gaps: list[Gap] = []
        if new := {number: begin for number, begin in begins.items() if number not in found}:
            self._write(cursor, _ADD, topic, new)
            gaps += self._replaced(cursor, topic)
        moved = {}
        for number in asked.waiting & begins.keys() & found.keys():
            begin, stored = begins[number], found[number]
            if number in asked.set_back:
                gaps.append(Gap(number, "set_back", stored, stored, 0))
                moved[number] = begin
            elif stored < begin:
                gaps.append(Gap(number, "expired", stored, begin, begin - stored))
                moved[number] = begin
        if moved:
            self._write(cursor, _SET, topic, moved)
            self.note(cursor, topic, [gap for gap in gaps if gap.reason != "topic_replaced"])
        return Places(
            topic, {number: (found | moved).get(number, begin) for number, begin in begins.items()}, tuple(gaps)
        )

    def advance(self, cursor: psycopg.Cursor[Any], progress: Progress) -> None:
        """Note how far a batch comes.

        Raises:
            BehindError: the database lacks what was stored before it.
        """
        spans = progress.spans
        values = {
            "partitions": list(spans),
            "begins": [span.begin for span in spans.values()],
            "ends": [span.end for span in spans.values()],
        }
        if cursor.execute(composed(_ADVANCE, self._schema), attrs.asdict(progress.topic) | values).rowcount < len(
            spans
        ):
            raise BehindError
        self.note(cursor, progress.topic, progress.gaps)

    def note(self, cursor: psycopg.Cursor[Any], topic: Topic, gaps: Sequence[Gap]) -> None:
        """Keep gaps, those of one partition and reason together. One that is known already counts no second time."""
        for gap in gaps:
            cursor.execute(composed(_NOTE, self._schema), attrs.asdict(topic) | attrs.asdict(gap))

    def _replaced(self, cursor: psycopg.Cursor[Any], topic: Topic) -> list[Gap]:
        """Note that topics of the same name were made anew as this one; those that were not known."""
        cursor.execute(composed(_NOTE_REPLACED, self._schema), attrs.asdict(topic))
        return [Gap(number, "topic_replaced", offset, offset, 0) for number, offset in cursor.fetchall()]

    def _write(self, cursor: psycopg.Cursor[Any], statement: str, topic: Topic, offsets: Mapping[int, int]) -> None:
        values = {"partitions": list(offsets), "offsets": list(offsets.values())}
        cursor.execute(composed(statement, self._schema), attrs.asdict(topic) | values)
