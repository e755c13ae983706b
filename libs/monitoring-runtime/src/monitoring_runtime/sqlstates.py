"""What becomes of a write that PostgreSQL refuses, by the SQLSTATE of its error and never by its text."""

from __future__ import annotations

import enum

import psycopg


class Fate(enum.Enum):
    """What becomes of what was to be written."""

    # A value in it is at fault, and will be at every further try: set it aside.
    SET_ASIDE = enum.auto()
    # What is around it is at fault, and somebody can mend it: wait, and try again.
    WAIT = enum.auto()
    # This program is at fault: stop, and say why.
    STOP = enum.auto()


# PostgreSQL documentation, appendix A: whole classes by their first two characters, and single codes, which come first.
# Whatever is not named here waits, since waiting loses nothing.
FATES = {
    "22": Fate.SET_ASIDE,  # data exception
    "22021": Fate.WAIT,  # character_not_in_repertoire: the database or the session is not UTF8
    "22P05": Fate.WAIT,  # untranslatable_character: the database is not UTF8
    "22P03": Fate.WAIT,  # invalid_binary_representation: a column has another type than ours
    "22P04": Fate.STOP,  # bad_copy_file_format
    "23": Fate.SET_ASIDE,  # integrity constraint violation; for "no partition" see `fate`
    "23502": Fate.WAIT,  # not_null_violation: whatever must have a value has one, but for a column that others added
    "42601": Fate.STOP,  # syntax_error
    "42P02": Fate.STOP,  # undefined_parameter
    "42P18": Fate.STOP,  # indeterminate_datatype
    "44": Fate.SET_ASIDE,  # with check option violation
    "54000": Fate.SET_ASIDE,  # program_limit_exceeded: a value is too large for an index
    "P0001": Fate.SET_ASIDE,  # raise_exception: a trigger of the owner refuses the row
}


def fate(error: psycopg.Error) -> Fate:
    """What becomes of what was to be written when this error came.

    An error without a SQLSTATE comes from the connection, or from psycopg when it cannot adapt a value.
    """
    if lacks_partition(error):
        return Fate.WAIT
    if error.sqlstate is None:
        return Fate.SET_ASIDE if isinstance(error, psycopg.DataError) else Fate.WAIT
    return FATES.get(error.sqlstate) or FATES.get(error.sqlstate[:2]) or Fate.WAIT


def lacks_partition(error: psycopg.Error) -> bool:
    """Whether a partitioned table has no partition for a row.

    That has the SQLSTATE of a CHECK that fails (23514), but no constraint to name.
    """
    return error.sqlstate == "23514" and error.diag.constraint_name is None
