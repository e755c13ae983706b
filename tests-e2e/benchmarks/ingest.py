"""How fast results get from Kafka into PostgreSQL, and at what cost: `hatch run bench:ingest`. See README.md."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from psycopg import sql

from local_stack.processes import Service
from local_stack.servers import Postgres, connect, embedded_postgresql
from local_stack.stack import DATABASE, Stack
from monitoring_core.codec import decode, encode, encode_key
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.tables import POSITION_TABLE, RESULT_COLUMNS, RESULT_KEY, RESULT_TABLE
from monitoring_testkit.servers.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPIC = "website_availability"
TABLE = sql.Identifier("monitoring", RESULT_TABLE)
COLUMNS = sql.SQL(", ").join(map(sql.Identifier, RESULT_COLUMNS))
KEY = sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY))
BATCH = 5_000
row = attrgetter(*RESULT_COLUMNS)


def results(count: int) -> Iterator[CheckResult]:
    """Checks of 10,000 websites over HTTPS, one in twenty down."""
    begin = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(count):
        down = number % 20 == 0
        slot = begin + dt.timedelta(minutes=number // 10_000, milliseconds=number % 10_000)
        yield CheckResult(
            target_id=number % 10_000 + 1,
            scheduled_at=slot,
            location="eu-north-1",
            producer_id=number % 10 + 1,
            status=Status.DOWN if down else Status.UP,
            reason=Reason.STATUS_MISMATCH if down else None,
            started_at=slot + dt.timedelta(microseconds=1234),
            finished_at=slot + dt.timedelta(microseconds=201_234),
            queue_delay_s=0.001234,
            dns_s=0.004321,
            connect_s=0.012345,
            tls_s=0.023456,
            first_byte_s=0.1,
            transfer_s=0.06,
            response_time_s=0.2,
            http_status=503 if down else 200,
            body_bytes=54_321,
            regexp_matched=None if down else True,
            remote_address="203.0.113.7",
            certificate_expires_at=begin + dt.timedelta(days=60),
            error="status 503, expected 200-299" if down else None,
            final_url=f"https://website-{number % 10_000}.example.com/status" if down else None,
        )


class Meter:
    """Wall time, and processor time of PostgreSQL and of other processes."""

    def __init__(self, postmaster: int, *others: int) -> None:
        self._postmaster = psutil.Process(postmaster)
        self._others = [psutil.Process(pid) for pid in others]
        self._begin = self._now()

    def per_row(self, rows: int) -> dict[str, float]:
        """Since the beginning: rows a second, and CPU microseconds a row."""
        wall, database, others = (after - before for after, before in zip(self._now(), self._begin, strict=True))
        cost = {"postgresql_us": database / rows * 1e6, "client_us": others / rows * 1e6}
        return {"rows_per_s": rows / wall, "us": sum(cost.values()), **cost}

    def _now(self) -> tuple[float, float, float]:
        database = 0.0
        for process in (self._postmaster, *self._postmaster.children()):
            times = process.cpu_times()
            database += times.user + times.system
        gone = self._postmaster.cpu_times()
        database += gone.children_user + gone.children_system
        others = sum(times.user + times.system for times in (process.cpu_times() for process in self._others))
        return time.monotonic(), database, others


def publish(servers: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "compression.type": "lz4"})
    for result in results(count):
        while True:
            try:
                producer.produce(TOPIC, encode(result), encode_key(result))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def messages(servers: str, count: int) -> Iterator[list[bytes]]:
    """The messages of the topic in lists, up to `count` of them."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "floor",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 10,
        }
    )
    partitions = consumer.list_topics(TOPIC, 10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, 0) for number in partitions])
    seen = 0
    while seen < count:
        came = [message.value() or b"" for message in consumer.consume(min(1_000, count - seen), 1.0)]
        seen += len(came)
        yield came
    consumer.close()


def by_consumers(stack: Stack, postmaster: int, count: int, consumers: int) -> dict[str, float]:
    """The real consumers, measured from the first stored row to the last."""
    forget(stack.postgres)
    group = f"bench-{time.monotonic_ns()}"
    services = [start(stack, f"consumer-svc {group}-{number}", group) for number in range(consumers)]
    while not (first := stored(services)):
        time.sleep(0.02)
    meter = Meter(postmaster, *(service.child.pid for service in services))
    while (now := stored(services)) < count:
        time.sleep(0.2)  # rendering its page of metrics costs the consumer, too
    found = meter.per_row(now - first)
    found["peak_MB"] = max(peak_mb(service.child.pid) for service in services)
    for service in services:
        assert service.child.stop() == 0, service.child.last_lines()
    return found


def start(stack: Stack, name: str, group: str) -> Service:
    return stack.start(name, "--set", f"consumer.group_id={group}", "--set", "consumer.session_timeout=6s")


def stored(services: list[Service]) -> int:
    """Rows that the consumers have stored."""
    lines = [line for service in services for line in (service.get("/metrics") or "").splitlines()]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("consumer_rows_total")))


def peak_mb(pid: int) -> float:
    """The peak memory of a process, megabytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def ready_batches(postgres: Postgres) -> list[bytes]:
    """The rows in the table as ready bytes of binary COPY, in batches."""
    with connect(postgres, DATABASE) as connection:
        query = sql.SQL("SELECT {} FROM {} ORDER BY scheduled_at, target_id").format(COLUMNS, TABLE)
        connection.execute(
            sql.SQL("CREATE TEMP TABLE numbered AS SELECT row_number() OVER () - 1 AS n, q.* FROM ({}) q").format(query)
        )
        connection.execute("CREATE INDEX ON numbered (n)")
        found = connection.execute("SELECT count(*) FROM numbered").fetchone()
        size = int(found[0]) if found else 0
        batches = []
        for begin in range(0, size, BATCH):
            part = sql.SQL("COPY (SELECT {} FROM numbered WHERE n >= {} AND n < {}) TO STDOUT (FORMAT binary)").format(
                COLUMNS, begin, begin + BATCH
            )
            with connection.cursor().copy(part) as copy:
                batches.append(b"".join(bytes(block) for block in copy))
    return batches


def by_copy(postgres: Postgres, batches: list[bytes], straight: bool) -> None:
    """The floor: ready rows into a staging table and from there onto the key, or straight into the table."""
    with connect(postgres, DATABASE) as connection:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in RESULT_COLUMNS.items()
        )
        connection.execute(sql.SQL("CREATE TEMP TABLE batch ({}) ON COMMIT DELETE ROWS").format(columns))
        into = TABLE if straight else sql.Identifier("pg_temp", "batch")
        copy_in = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(into, COLUMNS)
        insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM pg_temp.batch ON CONFLICT ({}) DO NOTHING").format(
            TABLE, COLUMNS, COLUMNS, KEY
        )
        for batch in batches:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(copy_in) as copy:
                    copy.write(batch)
                if not straight:
                    cursor.execute(insert)


def by_executemany(postgres: Postgres, servers: str, count: int, size: int) -> None:
    """The common way: decoded messages, executemany, and a commit for each `size` of them."""
    values = sql.SQL(", ").join(sql.Placeholder() * len(RESULT_COLUMNS))
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING").format(TABLE, COLUMNS, values, KEY)
    with connect(postgres, DATABASE) as connection:
        pending: list[tuple[object, ...]] = []
        for came in messages(servers, count):
            pending += [row(decode(value)) for value in came]
            while len(pending) >= size:
                with connection.transaction(), connection.cursor() as cursor:
                    if size == 1:
                        cursor.execute(insert, pending[0])
                    else:
                        cursor.executemany(insert, pending[:size])
                del pending[:size]


def forget(postgres: Postgres) -> None:
    """Let consumers begin at the start of the topic."""
    with connect(postgres, DATABASE) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier("monitoring", POSITION_TABLE)))


def clear(postgres: Postgres) -> None:
    with connect(postgres, DATABASE) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(TABLE))
        connection.execute("CHECKPOINT")


def fill(postgres: Postgres, count: int) -> None:
    """Rows of other websites at the same times, in the order in which they would have come."""
    with connect(postgres, DATABASE) as connection:
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (target_id, scheduled_at, location, producer_id, status, response_time_s) "
                "SELECT 1000000 + n %% 200000, date_trunc('day', now()) + n / 200000 * interval '1 minute', "
                "'eu-north-1', 1, 'up', 0.2 FROM generate_series(0, %s) n"
            ).format(TABLE),
            (count - 1,),
        )
        connection.execute(sql.SQL("VACUUM ANALYZE {}").format(TABLE))
        connection.execute("CHECKPOINT")


def end_to_end(stack: Stack, rate: int, seconds: int, backlog: int) -> dict[str, float]:
    """Milliseconds from a message's acknowledged sending to its row being seen, at a steady rate.

    The consumer has default settings. It first consumes the `backlog` messages that are in the topic already.
    """
    forget(stack.postgres)
    service = start(stack, "consumer-svc latency", f"latency-{time.monotonic_ns()}")
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "linger.ms": 5})
    while stored([service]) < backlog:
        time.sleep(0.05)
    sent: dict[dt.datetime, float] = {}
    begin = dt.datetime.now(dt.UTC)
    delays: list[float] = []

    def watch() -> None:
        last = begin - dt.timedelta(seconds=1)
        with connect(stack.postgres, DATABASE) as connection:
            query = sql.SQL("SELECT scheduled_at FROM {} WHERE target_id = 1 AND scheduled_at > %s ORDER BY 1").format(
                TABLE
            )
            while len(delays) < rate * seconds // 100:
                for (moment,) in connection.execute(query, (last,)).fetchall():
                    last = moment
                    delays.append(1000 * (time.monotonic() - sent[last]))
                time.sleep(0.005)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        template = next(results(1))
        began = time.monotonic()
        for number in range(rate * seconds):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            moment = begin + dt.timedelta(milliseconds=number)
            # Every hundredth message is watched.
            changed = {"target_id": 1 if number % 100 == 0 else 2, "scheduled_at": moment}
            values = {name: getattr(template, name) for name in RESULT_COLUMNS} | changed
            result = CheckResult(**values)
            if number % 100 == 0:
                sent[moment] = time.monotonic()
            producer.produce(TOPIC, encode(result), encode_key(result))
            producer.poll(0)
        producer.flush(10)
        watching.result(30)
    service.child.stop()
    delays.sort()
    return {"p50_ms": delays[len(delays) // 2], "p99_ms": delays[int(0.99 * len(delays))]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=500_000)
    parser.add_argument(
        "--stored", type=int, default=10_000_000, help="rows that are stored already, for the last part"
    )
    parser.add_argument("--json", type=Path, default=Path("bench-ingest.json"), metavar="FILE")
    arguments = parser.parse_args()
    count = arguments.results
    found: dict[str, dict[str, float]] = {}

    def note(name: str, values: dict[str, float]) -> None:
        found[name] = values
        print(f"{name:<42}" + "  ".join(f"{key}: {value:,.1f}" for key, value in values.items()), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        kafka = ApacheKafka(directory, optimised=True)
        kafka.start()
        with embedded_postgresql(directory / "postgres") as postgres:
            postmaster = int((directory / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            stack = Stack(directory, postgres, kafka.bootstrap_servers, 60, 10)
            stack.write_config()
            stack.dbadmin("setup")
            publish(kafka.bootstrap_servers, count)

            def timed(rows: int, work: Callable[[], object]) -> dict[str, float]:
                clear(postgres)
                meter = Meter(postmaster, psutil.Process().pid)
                work()
                return meter.per_row(rows)

            servers = kafka.bootstrap_servers
            note("1 consumer", by_consumers(stack, postmaster, count, 1))
            batches = ready_batches(postgres)
            note("floor: COPY into staging, INSERT", timed(count, lambda: by_copy(postgres, batches, straight=False)))
            note("floor: COPY straight into the table", timed(count, lambda: by_copy(postgres, batches, straight=True)))
            note("floor: Kafka alone", timed(count, lambda: sum(map(len, messages(servers, count)))))
            note("executemany of 500", timed(count // 10, lambda: by_executemany(postgres, servers, count // 10, 500)))
            note(
                "one INSERT and commit each",
                timed(count // 100, lambda: by_executemany(postgres, servers, count // 100, 1)),
            )
            for consumers in (1, 2, 4):
                clear(postgres)
                note(
                    f"{consumers} consumers" if consumers > 1 else "1 consumer",
                    by_consumers(stack, postmaster, count, consumers),
                )
                if consumers == 1:
                    note("1 consumer, all of it stored already", by_consumers(stack, postmaster, count, 1))
            clear(postgres)
            note("end to end at 1,000/s", end_to_end(stack, 1_000, 10, count))
            if arguments.stored:
                clear(postgres)
                fill(postgres, arguments.stored)
                name = f"1 consumer, {arguments.stored:,} rows stored"
                note(name, by_consumers(stack, postmaster, count, 1))
                share = found[name]["rows_per_s"] / found["1 consumer"]["rows_per_s"]
                print(f"{'':<42}{share:.2f} of the speed on an empty table")
        kafka.stop()
    ours = found["1 consumer"]
    print(f"\n{'1 consumer, against':<42}{'rows/s':>8}{'CPU':>8}")
    for name, values in found.items():
        if name.startswith(("floor", "executemany", "one INSERT")):
            print(f"{name:<42}{ours['rows_per_s'] / values['rows_per_s']:>7.2f}x{ours['us'] / values['us']:>7.2f}x")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    main()
