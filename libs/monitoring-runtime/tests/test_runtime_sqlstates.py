"""What becomes of a write that PostgreSQL refuses."""

from __future__ import annotations

import psycopg
import pytest

from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import Trouble, diagnose, explain
from monitoring_runtime.sqlstates import FATES, Fate, fate

# SQLSTATE (PostgreSQL documentation, appendix A) -> what becomes of the rows.
EXPECTED = {
    "22000": Fate.SET_ASIDE,  # data_exception
    "22001": Fate.SET_ASIDE,  # string_data_right_truncation
    "22003": Fate.SET_ASIDE,  # numeric_value_out_of_range
    "22008": Fate.SET_ASIDE,  # datetime_field_overflow
    "22P02": Fate.SET_ASIDE,  # invalid_text_representation
    "23503": Fate.SET_ASIDE,  # foreign_key_violation
    "23505": Fate.SET_ASIDE,  # unique_violation
    "23P01": Fate.SET_ASIDE,  # exclusion_violation
    "44000": Fate.SET_ASIDE,  # with_check_option_violation
    "54000": Fate.SET_ASIDE,  # program_limit_exceeded
    "P0001": Fate.SET_ASIDE,  # raise_exception
    "22021": Fate.WAIT,  # character_not_in_repertoire
    "22P03": Fate.WAIT,  # invalid_binary_representation
    "22P05": Fate.WAIT,  # untranslatable_character
    "23502": Fate.WAIT,  # not_null_violation
    "08006": Fate.WAIT,  # connection_failure
    "08P01": Fate.WAIT,  # protocol_violation, as PgBouncer says of an outage
    "0A000": Fate.WAIT,  # feature_not_supported
    "25006": Fate.WAIT,  # read_only_sql_transaction
    "28000": Fate.WAIT,  # invalid_authorization_specification
    "28P01": Fate.WAIT,  # invalid_password
    "3D000": Fate.WAIT,  # invalid_catalog_name
    "3F000": Fate.WAIT,  # invalid_schema_name
    "40001": Fate.WAIT,  # serialization_failure
    "40P01": Fate.WAIT,  # deadlock_detected
    "42501": Fate.WAIT,  # insufficient_privilege
    "42703": Fate.WAIT,  # undefined_column
    "42804": Fate.WAIT,  # datatype_mismatch
    "42P01": Fate.WAIT,  # undefined_table
    "53000": Fate.WAIT,  # insufficient_resources
    "53100": Fate.WAIT,  # disk_full
    "53200": Fate.WAIT,  # out_of_memory
    "53300": Fate.WAIT,  # too_many_connections
    "54001": Fate.WAIT,  # statement_too_complex
    "55006": Fate.WAIT,  # object_in_use
    "55P03": Fate.WAIT,  # lock_not_available
    "57014": Fate.WAIT,  # query_canceled
    "57P01": Fate.WAIT,  # admin_shutdown
    "57P02": Fate.WAIT,  # crash_shutdown
    "57P03": Fate.WAIT,  # cannot_connect_now
    "57P05": Fate.WAIT,  # idle_session_timeout
    "58030": Fate.WAIT,  # io_error
    "P0000": Fate.WAIT,  # plpgsql_error
    "XX000": Fate.WAIT,  # internal_error
    "XX001": Fate.WAIT,  # data_corrupted
    "22P04": Fate.STOP,  # bad_copy_file_format
    "42601": Fate.STOP,  # syntax_error
    "42P02": Fate.STOP,  # undefined_parameter
    "42P18": Fate.STOP,  # indeterminate_datatype
}


@pytest.mark.parametrize("sqlstate", EXPECTED)
def test_the_sqlstate_decides(sqlstate: str) -> None:
    """A value at fault is set aside, what is around it is waited for, and our own fault ends the service."""
    assert fate(psycopg.errors.lookup(sqlstate)("was auch immer")) is EXPECTED[sqlstate]


def test_every_entry_of_the_table_is_tried() -> None:
    """Each code, and of each class at least one code that has no entry of its own."""
    for entry in FATES:
        assert any(code == entry or (code.startswith(entry) and code not in FATES) for code in EXPECTED), entry


def test_no_partition_for_a_row_is_not_the_fault_of_the_row() -> None:
    """It has the SQLSTATE of a CHECK, but names no constraint. The line names the command that mends it."""
    error = psycopg.errors.CheckViolation('keine Partition von Relation "availability_result" gefunden')
    assert fate(error) is Fate.WAIT
    assert diagnose(error).trouble is Trouble.PARTITION_MISSING
    said = explain(error, DatabaseConfig(host="db", user="u"), "cannot store results")
    assert said == "PostgreSQL at db:5432 cannot store results: their day has no partition (run dbadmin maintain)"


def test_without_a_sqlstate_the_kind_of_the_error_decides() -> None:
    """A connection that broke is waited for; a value that psycopg cannot write is set aside."""
    assert fate(psycopg.OperationalError("server closed the connection unexpectedly")) is Fate.WAIT
    assert fate(psycopg.InterfaceError("the connection is closed")) is Fate.WAIT
    assert fate(psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")) is Fate.SET_ASIDE
