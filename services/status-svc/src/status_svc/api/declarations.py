"""What a request declares of targets, judged as a file of `dbadmin targets apply` is."""

from __future__ import annotations

import time
from typing import Annotated, Any

import attrs
from msgspec import Meta, Struct

from monitoring_core.declared.declaration import Declaration, Declared
from monitoring_core.declared.items import MAX_REPORTED, Items
from monitoring_core.declared.ownership import owner_problem
from monitoring_core.declared.plans import Way
from status_svc.api.contents import invalid, object_of, read
from status_svc.problems import ProblemError

# As for a file.
MAX_BYTES = 4 << 20
MAX_TARGETS = 10_000
# A short regular expression may take a tenth of a second, and there is room for a million.
JUDGING_S = 10.0


class DeclarationContent(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All targets that an owner wants, and how they are made so: the options of `dbadmin targets apply`."""

    owner: str
    targets: Annotated[list[Any], Meta(max_length=MAX_TARGETS)]
    adopt: bool = False
    remove: bool = False
    max_gone: Annotated[int, Meta(ge=0, le=100)] = 25


@attrs.frozen
class Asked:
    """What is asked for.

    Attributes:
        max_gone: the part of the owner's targets that may go, in percent.
    """

    declaration: Declaration
    way: Way
    max_gone: int


def asked_for(content: bytes) -> Asked:
    """What a content asks for; many targets take seconds.

    Raises:
        ProblemError: there is something wrong with it; it tells each fault, with the target that has it.
    """
    stated = read(DeclarationContent, object_of(content))
    faults = [f"owner: {problem}"] if (problem := owner_problem(stated.owner)) else []
    targets, items, until = [], Items(), time.monotonic() + JUDGING_S
    for number, item in enumerate(stated.targets):
        path = f"targets[{number}]"
        record, more = items.judge(item, path, path)
        faults += [f"{at}: {message}" for at, message in more]
        if record:
            targets.append(Declared.of(stated.owner, item["key"], record, path))
        if len(faults) > MAX_REPORTED or time.monotonic() > until:
            break
    if faults:
        raise invalid(faults, MAX_REPORTED)
    if len(targets) < len(stated.targets):
        message = f"targets: to judge them takes more than {JUDGING_S:.0f} seconds; dbadmin targets apply has no bound."
        raise ProblemError(422, message)
    way = Way(adopt=stated.adopt, remove=stated.remove)
    return Asked(Declaration(stated.owner, tuple(targets)), way, stated.max_gone)
