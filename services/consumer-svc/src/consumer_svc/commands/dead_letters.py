"""`consumer-svc dead-letters`: the messages that could not be stored and why, to be tried again or discarded."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from consumer_svc import wiring
from consumer_svc.ports import REASONS
from monitoring_core.clock import for_people, from_ms
from monitoring_core.errors import StopError
from monitoring_core.result import one_line
from monitoring_runtime.commands import config_options, counted
from monitoring_runtime.groups import LazyGroup, examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from consumer_svc.ports import DeadLetter, DeadLetterReader
    from monitoring_core.config import Config

_BATCH = 1_000
_HEADER = f"{'PLACE':<12}{'SET ASIDE AT':<25}{'':<9}{'REASON':<21}{'FROM':<28}  ERROR"


class _Place(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases alone
    name = "PARTITION:OFFSET"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        partition, colon, offset = str(value).partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()):
            self.fail(f"{value!r} is not PARTITION:OFFSET, as the list shows it", param, ctx)
        return int(partition), int(offset)


_reason = click.option(
    "--reason", type=click.Choice(REASONS), metavar="REASON", help="Only those with this reason, as the list names it."
)
_places = click.argument("places", type=_Place(), nargs=-1, metavar="[PARTITION:OFFSET]...")


@click.group("dead-letters", cls=LazyGroup, epilog=examples("consumer-svc dead-letters list --reason not_json"))
def dead_letters() -> None:
    """See what could not be stored, replay it after a fix, or discard it."""


@dead_letters.command("list", epilog=examples("consumer-svc dead-letters list --limit 10"))
@config_options
@_reason
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Show at most this many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(config: Config, reason: str | None, limit: int, as_json: bool) -> None:
    """List the dead letters, oldest first in each partition, and count them by reason."""
    with contextlib.closing(wiring.dead_letter_topic(config)) as topic:
        settled = topic.settled()
        counts: Counter[str] = Counter()
        if not as_json:
            click.echo(_HEADER)
        for letter in _with_reason(topic.read({}), reason):
            counts[letter.headers.get("reason", "?")] += 1
            if counts.total() <= limit:
                said = _described(letter, settled[letter.partition].has(letter.offset))
                click.echo(json.dumps(said) if as_json else _line(said))
    if not as_json:
        summary = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        shown = f", {limit} shown" if counts.total() > limit else ""
        click.echo(counted(counts.total(), "dead letter") + shown + (f": {summary}" if summary else ""))


@dead_letters.command(
    epilog=examples("consumer-svc dead-letters show 0:17", "consumer-svc dead-letters show 0:17 --raw")
)
@config_options
@click.argument("place", type=_Place(), metavar="PARTITION:OFFSET")
@click.option("--raw", is_flag=True, help="Only the message's value, byte for byte.")
def show(config: Config, place: tuple[int, int], raw: bool) -> None:
    """Show one dead letter, its headers and its value."""
    with contextlib.closing(wiring.dead_letter_topic(config)) as topic:
        letter = topic.at(*place)
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        return
    for name, text in letter.headers.items():
        click.echo(f"{name:<19}{one_line(text)}")
    click.echo(f"{'set aside at':<19}{for_people(from_ms(letter.dead_lettered_ms))}")
    click.echo(f"{'key':<19}{_shown(letter.key)}")
    click.echo(f"{'value':<19}{_shown(letter.value)}")


@dead_letters.command(
    epilog=examples(
        "consumer-svc dead-letters replay --dry-run",
        "consumer-svc dead-letters replay 0:17 0:18",
        "consumer-svc dead-letters replay --reason invalid",
    )
)
@config_options
@_places
@_reason
@click.option("--again", is_flag=True, help="Also those that were replayed or discarded before.")
@click.option("--dry-run", is_flag=True, help="Send nothing, and say what would be.")
def replay(config: Config, places: tuple[tuple[int, int], ...], reason: str | None, again: bool, dry_run: bool) -> None:
    """Send dead letters to the topic once more, unchanged: those that are named, else all that are not settled yet.

    What still cannot be stored becomes a dead letter again. What is stored already changes nothing. What was too large
    to be kept whole is left out. What the topic refuses for good stays a dead letter, and the status is 1.
    """
    name, refused = config.kafka.topic_name, list[str]()
    with contextlib.closing(wiring.dead_letter_topic(config)) as topic:
        found = _with_reason(_chosen(topic, places, again), reason)
        writer, sent = wiring.topic_writer(config), 0
        while batch := list(islice(found, _BATCH)):
            batch = [letter for letter in batch if "cut_from_bytes" not in letter.headers]
            if not dry_run:
                refusals = writer.offer([(letter.key, letter.value, {}) for letter in batch])
                refused += [f"{batch[one.number].place}: {one.why}" for one in refusals]
                stay = {one.number for one in refusals}
                batch = [letter for number, letter in enumerate(batch) if number not in stay]
                _settle(topic, batch)
            sent += len(batch)
    click.echo(f"{counted(sent, 'message')} {'would be sent' if dry_run else 'sent'} to topic {name}")
    if refused:
        raise StopError(f"topic {name} refuses {counted(len(refused), 'dead letter')} for good, the first {refused[0]}")


@dead_letters.command(
    epilog=examples(
        "consumer-svc dead-letters discard 0:17",
        "consumer-svc dead-letters discard --reason not_json --dry-run",
    )
)
@config_options
@_places
@_reason
@click.option("--all", "every", is_flag=True, help="All that are not settled yet.")
@click.option("--dry-run", is_flag=True, help="Discard nothing, and say what would be.")
def discard(
    config: Config, places: tuple[tuple[int, int], ...], reason: str | None, every: bool, dry_run: bool
) -> None:
    """Be done with dead letters that no fix will help: those that are named, or have a reason, or all.

    They stay in their topic until Kafka deletes them for their age, but replay leaves them out, and dbadmin doctor does
    not count them.
    """
    if not (places or reason or every):
        raise click.UsageError("name PARTITION:OFFSET, --reason or --all")
    with contextlib.closing(wiring.dead_letter_topic(config)) as topic:
        found, discarded = _with_reason(_chosen(topic, places, again=False), reason), 0
        while batch := list(islice(found, _BATCH)):
            discarded += len(batch)
            if not dry_run:
                _settle(topic, batch)
    click.echo(f"{counted(discarded, 'dead letter')} {'would be discarded' if dry_run else 'discarded'}")


def _chosen(topic: DeadLetterReader, places: tuple[tuple[int, int], ...], again: bool) -> Iterator[DeadLetter]:
    """The dead letters that are named, else all, without those that are settled unless `again`."""
    if places:
        return (topic.at(*place) for place in places)
    if again:
        return topic.read({})
    settled = topic.settled()
    found = topic.read({number: one.until for number, one in settled.items()})
    return (letter for letter in found if not settled[letter.partition].has(letter.offset))


def _settle(topic: DeadLetterReader, letters: list[DeadLetter]) -> None:
    if left := topic.settle(letters):
        click.echo(
            f"{counted(left, 'dead letter')} cannot be remembered as settled, because too many before them are not: "
            "settle the oldest ones first",
            err=True,
        )


def _with_reason(letters: Iterable[DeadLetter], reason: str | None) -> Iterator[DeadLetter]:
    return (letter for letter in letters if reason is None or letter.headers.get("reason") == reason)


def _described(letter: DeadLetter, settled: bool) -> dict[str, Any]:
    return {
        "place": letter.place,
        "set_aside_at": for_people(from_ms(letter.dead_lettered_ms)),
        "settled": settled,
        "bytes": len(letter.value or b""),
        **letter.headers,
    }


def _line(said: dict[str, Any]) -> str:
    where = (
        f"{said.get('original_topic', '?')} {said.get('original_partition', '?')}:{said.get('original_offset', '?')}"
    )
    mark = "settled" if said["settled"] else ""
    error = one_line(str(said.get("error", "")), 120)
    return f"{said['place']:<12}{said['set_aside_at']:<25}{mark:<9}{said.get('reason', '?'):<21}{where:<28}  {error}"


def _shown(content: bytes | None) -> str:
    """Bytes as text for a person, bounded in length and without control characters."""
    if content is None:
        return "null"
    text = content[:4_000].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + (
        f"… ({len(content)} bytes)" if len(content) > 4_000 else ""
    )
