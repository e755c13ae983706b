"""What a decider remembers, as bytes in parts, and back: for one that goes on where another one was."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from monitoring_alerting.certificate import CertificateTrack
from monitoring_alerting.clock import ResultClock
from monitoring_alerting.decider import AnyTrack, Decider, Memory
from monitoring_alerting.evidence import EvidenceStore
from monitoring_alerting.missed import Counted, MissedTrack
from monitoring_alerting.policies import KINDS, CertificatePolicy, Kind, MissedPolicy, Policies, Policy, QuorumPolicy
from monitoring_alerting.quorum import QuorumTrack
from monitoring_alerting.quorum_standing import QuorumStanding
from monitoring_alerting.seats import shared_names
from monitoring_alerting.standing import Standing
from monitoring_alerting.targets import Watched, shared_labels
from monitoring_alerting.terms import Terms
from monitoring_alerting.transition import Evidence

if TYPE_CHECKING:
    from monitoring_alerting.decider import Tracked

# Raised by whoever changes what is written here.
FORMAT = 1
_TARGETS_A_PART = 1_000
# The fastest: a part is written often, and read seldom.
_LEVEL = 1


class UnknownFormatError(Exception):
    """What is remembered was written by another release, in a format that this one does not know."""


class _Head(Struct, array_like=True):
    format: int
    policies: list[Raw]
    clock: ResultClock
    waits: dict[int, set[int]]


class _Quorum(Struct, array_like=True, tag="q"):
    policy: str
    wakes_at: int | None
    closed: int
    blind_from: int
    names: tuple[str, ...]
    cells: list[int]
    standing: QuorumStanding | None
    evidence: dict[str, list[tuple[int, Evidence]]] | None


class _Certificate(Struct, array_like=True, tag="c"):
    policy: str
    wakes_at: int | None
    seen: dict[str, tuple[int, int]]
    told: tuple[int, int] | None
    standing: Standing | None


class _Missed(Struct, array_like=True, tag="m"):
    policy: str
    wakes_at: int | None
    hour: int | None
    counted: dict[str, Counted]
    standing: Standing | None


_AnyKept = _Quorum | _Certificate | _Missed


class _Target(Struct, array_like=True):
    id: int
    name: str
    labels: dict[str, str]
    interval: int
    phase: int
    shift: int
    tracks: list[_AnyKept]


def parts(policies: Policies, memory: Memory) -> Iterator[bytes]:
    """What is remembered under these policies, in parts of bounded size; all of them together are needed again."""
    encoder = msgspec.msgpack.Encoder()

    def part(content: object) -> bytes:
        return zlib.compress(encoder.encode(content), _LEVEL)

    raw = [Raw(encoder.encode(policy)) for policy in policies.all]
    yield part(_Head(FORMAT, raw, memory.clock, memory.waits))
    kept: list[_Target] = []
    for target, *tracks in memory.targets:
        kept.append(_kept_target(target, tracks))
        if len(kept) == _TARGETS_A_PART:
            yield part(kept)
            kept.clear()
    if kept:
        yield part(kept)


def recalled(kept: Iterable[bytes]) -> tuple[Policies, Decider]:
    """The decider that `parts` were made of, and its policies.

    Raises:
        UnknownFormatError: another release wrote them.
    """
    each = (zlib.decompress(part) for part in kept)
    head = _head(next(each))
    policies = _policies(head)
    tracks = _Tracks(policies)
    decoder = msgspec.msgpack.Decoder(list[_Target])
    targets = [_tracked(one, tracks) for part in each for one in decoder.decode(part)]
    return policies, Decider.recalled(policies, Memory(head.clock, head.waits, targets))


def policies_in(first: bytes) -> Policies:
    """The policies that the first of the parts holds.

    Raises:
        UnknownFormatError: another release wrote it.
    """
    return _policies(_head(zlib.decompress(first)))


def _policies(head: _Head) -> Policies:
    return Policies(tuple(_policy(raw) for raw in head.policies))


def _tracked(kept: _Target, tracks: _Tracks) -> Tracked:
    labels = shared_labels(frozenset(kept.labels.items()))
    target = Watched(kept.id, kept.name, labels, kept.interval, kept.phase, kept.shift)
    return (target, *(tracks.recalled(track) for track in kept.tracks))


def _head(part: bytes) -> _Head:
    first = msgspec.msgpack.decode(part)
    if not isinstance(first, list) or not first or first[0] != FORMAT:
        raise UnknownFormatError
    return msgspec.msgpack.decode(part, type=_Head)


class _Name(Struct):
    kind: Kind


def _policy(raw: Raw) -> Policy:
    kind = msgspec.msgpack.decode(raw, type=_Name).kind
    return msgspec.msgpack.decode(raw, type=KINDS[kind])


def _kept_target(target: Watched, tracks: Iterable[AnyTrack]) -> _Target:
    return _Target(
        target.id,
        target.name,
        dict(target.labels),
        target.interval,
        target.phase,
        target.shift,
        [_kept(track) for track in tracks],
    )


def _kept(track: AnyTrack) -> _AnyKept:
    name, wakes_at = track.policy.name, track.wakes_at
    if isinstance(track, QuorumTrack):
        evidence = track.evidence.kept if track.evidence else None
        return _Quorum(
            name, wakes_at, track.closed, track.blind_from, track.names, list(track.cells), track.standing, evidence
        )
    if isinstance(track, CertificateTrack):
        return _Certificate(name, wakes_at, track.seen, track.told, track.standing)
    return _Missed(name, wakes_at, track.hour, track.counted, track.standing)


class _Tracks:
    """Makes tracks under the policies of their names."""

    def __init__(self, policies: Policies) -> None:
        self._policies = {policy.name: policy for policy in policies.all}
        self._terms = {policy.name: Terms.of(policy) for policy in policies.all if isinstance(policy, QuorumPolicy)}

    def recalled(self, kept: _AnyKept) -> AnyTrack:
        """The track that was kept."""
        if isinstance(kept, _Quorum):
            track: AnyTrack = self._quorum(kept)
        elif isinstance(kept, _Certificate):
            track = self._certificate(kept)
        else:
            track = self._missed(kept)
        track.wakes_at = kept.wakes_at
        return track

    def _quorum(self, kept: _Quorum) -> QuorumTrack:
        track = QuorumTrack(self._terms[kept.policy])
        track.closed, track.blind_from = kept.closed, kept.blind_from
        track.names, track.cells = shared_names(kept.names), array("q", kept.cells)
        track.standing = kept.standing
        track.evidence = EvidenceStore(kept.evidence) if kept.evidence is not None else None
        return track

    def _certificate(self, kept: _Certificate) -> CertificateTrack:
        policy = self._policies[kept.policy]
        assert isinstance(policy, CertificatePolicy)
        track = CertificateTrack(policy)
        track.seen, track.told, track.standing = kept.seen, kept.told, kept.standing
        return track

    def _missed(self, kept: _Missed) -> MissedTrack:
        policy = self._policies[kept.policy]
        assert isinstance(policy, MissedPolicy)
        track = MissedTrack(policy)
        track.hour, track.counted, track.standing = kept.hour, kept.counted, kept.standing
        return track
