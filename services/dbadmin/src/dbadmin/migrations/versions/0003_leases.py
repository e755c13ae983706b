"""Who works which targets, when they changed, and since when each is active as it is."""

from dbadmin.install.statements import run

revision = "0003"
down_revision = "0002"
# The oldest revision whose services still work with this one: docs/adr/0008.
oldest_served = "0001"

UPGRADE = (
    """
CREATE TABLE {schema}.producer_lease (
    location text NOT NULL,
    producer_id integer NOT NULL CHECK (producer_id > 0),
    holder text NOT NULL,
    expires_at timestamptz NOT NULL,
    accounted_until timestamptz NOT NULL,
    PRIMARY KEY (location, producer_id)
)
""",
    "CREATE TABLE {schema}.availability_monitor_config_version (version bigint NOT NULL)",
    "INSERT INTO {schema}.availability_monitor_config_version VALUES (1)",
    """
CREATE FUNCTION {schema}.availability_monitor_config_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    EXECUTE format('UPDATE %I.availability_monitor_config_version SET version = version + 1', TG_TABLE_SCHEMA);
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {schema}.availability_monitor_config
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.availability_monitor_config_changed()
""",
    "ALTER TABLE {schema}.availability_monitor_config ADD COLUMN amc_active_since timestamptz NOT NULL DEFAULT now()",
    """
CREATE FUNCTION {schema}.availability_monitor_config_activated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.amc_active_since := now();
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER activated BEFORE UPDATE OF amc_active, amc_check_interval_s ON {schema}.availability_monitor_config
FOR EACH ROW WHEN (
    (NEW.amc_active AND NOT OLD.amc_active) OR NEW.amc_check_interval_s IS DISTINCT FROM OLD.amc_check_interval_s
) EXECUTE FUNCTION {schema}.availability_monitor_config_activated()
""",
)
DOWNGRADE = (
    "DROP TRIGGER activated ON {schema}.availability_monitor_config",
    "DROP TRIGGER changed ON {schema}.availability_monitor_config",
    "DROP FUNCTION {schema}.availability_monitor_config_activated()",
    "DROP FUNCTION {schema}.availability_monitor_config_changed()",
    "ALTER TABLE {schema}.availability_monitor_config DROP COLUMN amc_active_since",
    "DROP TABLE {schema}.availability_monitor_config_version",
    "DROP TABLE {schema}.producer_lease",
)


def upgrade() -> None:
    for statement in UPGRADE:
        run(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        run(statement)
