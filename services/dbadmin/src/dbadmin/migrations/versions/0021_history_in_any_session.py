"""A change of many targets is written down as fast in a session that changed one target before."""

import importlib

from dbadmin.install.statements import run

revision = "0021"
down_revision = "0020"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# As in revision 0011, but for EXECUTE: what joins the targets before with those after is planned at each call. PL/pgSQL
# plans other statements at their first call in a session and keeps that (PostgreSQL documentation, "Plan Caching"): a
# plan for one target takes the square of the time for many.
RECORDED = """
CREATE OR REPLACE FUNCTION {schema}.availability_monitor_config_recorded() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    paused bigint;
BEGIN
    PERFORM set_config('search_path', format('%I, pg_temp', TG_TABLE_SCHEMA), true);
    IF TG_OP = 'UPDATE' THEN
        EXECUTE $q$
            INSERT INTO availability_monitor_config_history (target_id, change, before) SELECT * FROM (
                SELECT o.amc_id, CASE WHEN n.amc_id IS NULL THEN 'deleted' ELSE 'changed' END,
                    availability_monitor_config_before(to_jsonb(o), CASE WHEN n.amc_id IS NOT NULL THEN to_jsonb(n) END)
                FROM old_targets o LEFT JOIN new_targets n ON n.amc_id = o.amc_id WHERE n IS DISTINCT FROM o
            ) c (target_id, change, before) WHERE before IS NOT NULL $q$;
        EXECUTE $q$
            UPDATE availability_pause p SET resumed_at = now() FROM new_targets n
            WHERE p.target_id = n.amc_id AND p.location = '' AND p.resumed_at IS NULL AND n.amc_active $q$;
        EXECUTE $q$
            INSERT INTO availability_pause (target_id, paused_at, cause)
            SELECT o.amc_id, now(), CASE WHEN n.amc_id IS NULL THEN 'deleted' ELSE 'deactivated' END
            FROM old_targets o LEFT JOIN new_targets n ON n.amc_id = o.amc_id
            WHERE o.amc_active AND n.amc_active IS NOT TRUE
            ON CONFLICT (target_id, location, paused_at)
            DO UPDATE SET resumed_at = NULL, cause = excluded.cause $q$;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO availability_monitor_config_history (target_id, change, before)
        SELECT amc_id, 'deleted', availability_monitor_config_before(to_jsonb(o), NULL) FROM old_targets o;
        INSERT INTO availability_pause (target_id, paused_at, cause)
        SELECT amc_id, now(), 'deleted' FROM old_targets WHERE amc_active
        ON CONFLICT (target_id, location, paused_at) DO UPDATE SET resumed_at = NULL, cause = excluded.cause;
    ELSE
        INSERT INTO availability_monitor_config_history (target_id, change, before)
        SELECT amc_id, 'deleted', availability_monitor_config_before(to_jsonb(o), NULL)
        FROM availability_monitor_config o;
        INSERT INTO availability_pause (target_id, paused_at, cause)
        SELECT amc_id, now(), 'deleted' FROM availability_monitor_config WHERE amc_active
        ON CONFLICT (target_id, location, paused_at) DO UPDATE SET resumed_at = NULL, cause = excluded.cause;
    END IF;
    GET DIAGNOSTICS paused = ROW_COUNT;
    INSERT INTO availability_dirty_hour (hour)
    SELECT generate_series(date_trunc('hour', now(), 'UTC'), clock_timestamp(), interval '1 hour') WHERE paused > 0;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    run(RECORDED)


def downgrade() -> None:
    earlier = importlib.import_module("dbadmin.migrations.versions.0011_what_is_shown")
    run(earlier.RECORDED.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
