"""The monitor itself, from /metrics of its services, and from what PostgreSQL says of maintain and of notifications."""

from __future__ import annotations

from functools import partial

from grafana import POSTGRESQL, PROMETHEUS, Dashboard, Panel, Row, Variable

_BUILDS = '__name__=~"(producer|consumer|alert|status)_build_info"'
_OF = 'job=~"$job",instance=~"$instance"'
_WINDOW = "[$__rate_interval]"
_stat = partial(Panel, kind="stat", width=4, instant=True)
_sql = partial(Panel, source=POSTGRESQL)


def dashboard() -> Dashboard:
    """The dashboard."""
    return Dashboard(
        "wam-monitor",
        "Availability monitor",
        "Whether the monitor does its work: producers, consumers, alerts, and the history that dbadmin maintain makes.",
        (PROMETHEUS, POSTGRESQL),
        (
            Variable("job", "Service", f"label_values({{{_BUILDS}}}, job)"),
            Variable("instance", "Process", 'label_values(up{job=~"$job"}, instance)'),
        ),
        (
            Row("Processes", _processes()),
            Row("Producers", _producers()),
            Row("Outbox", _outbox()),
            Row("Consumers", _consumers()),
            Row("Alerts", _alerts()),
            Row("Notifications", _notifications()),
            Row("Status", _status()),
            Row("History (dbadmin maintain)", _history()),
        ),
        period="now-3h",
    )


def _series(name: str, *more: str) -> str:
    return f"{name}{{{','.join((_OF, *more))}}}"


def _rate(name: str, *more: str) -> str:
    return f"rate({_series(name, *more)}{_WINDOW})"


def _increase(name: str) -> str:
    return f"increase({_series(name)}{_WINDOW})"


def _percentiles(title: str, description: str, name: str, width: int = 8) -> Panel:
    buckets = f"sum by (le) ({_rate(f'{name}_bucket')})"
    queries = tuple(f"histogram_quantile({share}, {buckets})" for share in (0.5, 0.99))
    return Panel(title, description, queries, "s", ("median", "99th percentile"), width=width)


def _processes() -> tuple[Panel, ...]:
    return (
        _stat("Producers", "Processes that answer.", (f"count({_series('producer_build_info')})",), "short"),
        _stat("Consumers", "Processes that answer.", (f"count({_series('consumer_build_info')})",), "short"),
        _stat("alert-svc", "Processes that answer.", (f"count({_series('alert_build_info')})",), "short"),
        _stat("status-svc", "Processes that answer.", (f"count({_series('status_build_info')})",), "short"),
        _stat(
            "Do not answer",
            "Processes whose /metrics could not be read. Runbook: A service does not start.",
            (f"sum(1 - {_series('up')})",),
            "short",
            alarming=True,
        ),
        Panel(
            "Versions",
            "The version of each process. Consumers are upgraded before producers.",
            (f"max by (job, instance, version, python) ({{{_BUILDS},{_OF}}})",),
            "short",
            kind="table",
            instant=True,
        ),
        Panel(
            "Processor",
            "Processors used, by process.",
            (_rate("process_cpu_seconds_total"),),
            "short",
            ("{{job}} {{instance}}",),
            width=6,
        ),
        Panel(
            "Memory",
            "Resident memory, by process.",
            (_series("process_resident_memory_bytes"),),
            "bytes",
            ("{{job}} {{instance}}",),
            width=6,
        ),
        Panel(
            "Descriptors",
            "Share of the open files and connections that a process may have. Runbook: The prober is at fault.",
            (f"{_series('process_open_fds')} / {_series('process_max_fds')}",),
            "percentunit",
            ("{{job}} {{instance}}",),
            width=6,
        ),
        Panel(
            "Running for",
            "How long ago each process started.",
            (f"time() - {_series('process_start_time_seconds')}",),
            "s",
            ("{{job}} {{instance}}",),
            width=6,
        ),
    )


def _producers() -> tuple[Panel, ...]:
    missed = (
        f"""sum({_rate("producer_checks_total", 'reason="missed_window"')}) / sum({_rate("producer_checks_total")})"""
    )
    return (
        Panel(
            "Checks",
            "Results by verdict.",
            (f"sum by (status) ({_rate('producer_checks_total')})",),
            "ops",
            ("{{status}}",),
            stacked=True,
        ),
        _percentiles(
            "Start lag", "From due to started. Runbook: Checks miss their window.", "producer_start_lag_seconds"
        ),
        Panel(
            "Missed",
            "Share of the slots that nobody ran. Runbook: Slots end as missed.",
            (missed,),
            "percentunit",
            ("missed",),
        ),
        Panel(
            "Why checks are not up",
            "Results by reason.",
            (f"""sum by (reason) ({_rate("producer_checks_total", 'status!="up"')})""",),
            "ops",
            ("{{reason}}",),
        ),
        Panel(
            "Queues",
            "Checks that are due and wait for the engine, and checks in the engine.",
            (_series("producer_waiting_checks"), _series("producer_running_checks")),
            "short",
            ("waiting {{instance}}", "running {{instance}}"),
        ),
        Panel(
            "Targets",
            "Targets worked, and targets of the range that cannot be checked. Runbook: A target cannot be checked.",
            (f"sum({_series('producer_targets')})", f"sum({_series('producer_invalid_targets')})"),
            "short",
            ("worked", "invalid"),
        ),
        Panel(
            "Leases",
            "The ID that each producer holds, 0 while it stands by, and how many are needed. Runbook: A producer stands by.",
            (_series("producer_id"), f"max({_series('producer_ids_needed')})"),
            "none",
            ("{{instance}}", "needed"),
        ),
        Panel(
            "Network down",
            "1 while no canary answers. Runbook: Nothing is known about many websites at once.",
            (_series("producer_network_down"),),
            "short",
            ("{{instance}}",),
        ),
        Panel(
            "Accounted for",
            "For how long every slot of the range is accounted for.",
            (f"time() - ({_series('producer_accounted_since_seconds')} > 0)",),
            "s",
            ("{{instance}}",),
        ),
    )


def _outbox() -> tuple[Panel, ...]:
    return (
        Panel(
            "Not acknowledged",
            "Results on their way to Kafka. Runbook: Kafka, It cannot be reached.",
            (_series("producer_results_unacknowledged"),),
            "short",
            ("{{instance}}",),
        ),
        Panel(
            "Not saved",
            "Results that are in memory alone. Runbook: The outbox, It cannot be written.",
            (_series("producer_results_unsaved"),),
            "short",
            ("{{instance}}",),
        ),
        Panel(
            "Given up",
            "Results that were lost for want of room. Runbook: Results are given up.",
            (_increase("producer_results_dropped_total"),),
            "short",
            ("{{instance}}",),
        ),
    )


def _consumers() -> tuple[Panel, ...]:
    size = f"sum({_rate('consumer_batch_rows_sum')}) / sum({_rate('consumer_batch_rows_count')})"
    return (
        Panel(
            "Lag",
            "Messages not yet committed, by partition. Runbook: Consumers fall behind.",
            (f"max by (partition) ({_series('consumer_lag')})",),
            "short",
            ("{{partition}}",),
        ),
        Panel(
            "Rows",
            "Results by what became of them.",
            (f"sum by (kind) ({_rate('consumer_rows_total')})",),
            "ops",
            ("{{kind}}",),
            stacked=True,
        ),
        _percentiles(
            "Age of batches",
            "From a batch's first message to its commit. Runbook: A batch does not get through.",
            "consumer_batch_age_seconds",
        ),
        _percentiles("Write", "Time to write a batch.", "consumer_write_seconds"),
        Panel("Batch", "Rows of a batch, in the mean.", (size,), "short", ("rows",)),
        Panel(
            "Failed tries to write",
            "PostgreSQL could not be written to.",
            (_increase("consumer_outages_total"),),
            "short",
            ("{{instance}}",),
        ),
        Panel(
            "Dead letters",
            "Messages that can never be stored, by reason. Runbook: Messages become dead letters.",
            (f"sum by (reason) ({_increase('consumer_dead_letters_total')})",),
            "short",
            ("{{reason}}",),
        ),
        Panel(
            "Messages that were gone",
            "Messages that Kafka no longer had when they were due. Runbook: Messages were gone.",
            (
                f"sum({_increase('consumer_missing_messages_total')})",
                f"sum by (reason) ({_increase('consumer_gaps_total')})",
            ),
            "short",
            ("messages", "times: {{reason}}"),
        ),
        Panel(
            "Rows without a partition",
            "Rows of days without a partition of their own. Runbook: Rows have no partition.",
            (f"max({_series('consumer_rows_in_default_partition')})",),
            "short",
            ("rows",),
        ),
    )


def _alerts() -> tuple[Panel, ...]:
    return (
        Panel(
            "Lag of deciding",
            "Messages not yet decided, by partition. Runbook: Alerts are not decided.",
            (f"max by (partition) ({_series('alert_lag')})",),
            "short",
            ("{{partition}}",),
        ),
        Panel(
            "Messages",
            "Results by what became of them; misplaced ones do not count. Runbook: Alerts are missing.",
            (f"sum by (outcome) ({_rate('alert_results_total')})",),
            "ops",
            ("{{outcome}}",),
        ),
        Panel(
            "Transitions",
            "Transitions of alerts that were stored, by state.",
            (f"sum by (state) ({_increase('alert_transitions_total')})",),
            "short",
            ("{{state}}",),
        ),
        _percentiles("Store a step", "Time to store what was decided.", "alert_store_seconds", width=6),
        Panel(
            "Failed tries",
            "Tries to read or store that failed; of notifications, times that PostgreSQL was away.",
            (_increase("alert_outages_total"), _increase("alert_notifier_outages_total")),
            "short",
            ("deciding {{instance}}", "notifications {{instance}}"),
            width=6,
        ),
        Panel(
            "Partitions taken over and lost",
            "Both rise at a rebalance. Runbook: Partitions go from one alert-svc to another.",
            (_increase("alert_takeovers_total"), _increase("alert_lost_partitions_total")),
            "short",
            ("taken over {{instance}}", "lost {{instance}}"),
            width=6,
        ),
        Panel(
            "Late results and faulty policies",
            "Results that came too late to count, and 1 while the file of policies cannot be used.",
            (_increase("alert_late_results_total"), _series("alert_faulty_policies")),
            "short",
            ("late {{instance}}", "faulty {{instance}}"),
            width=6,
        ),
    )


def _notifications() -> tuple[Panel, ...]:
    sent = """SELECT date_trunc('minute', began_at) AS time, channel || CASE WHEN sent THEN ' sent' ELSE ' failed' END AS metric,
count(*) AS value FROM monitoring.alert_attempt WHERE $__timeFilter(began_at) AND ended_at IS NOT NULL GROUP BY 1, 2 ORDER BY 1"""
    return (
        Panel(
            "Waiting",
            "Messages not sent yet, by channel. Runbook: Nobody is told.",
            (f"max by (channel) ({_series('alert_notifications_waiting')})",),
            "short",
            ("{{channel}}",),
            width=6,
        ),
        Panel(
            "Failing channels",
            "1 when the last attempt failed, by channel. Runbook: Nobody is told.",
            (f"max by (channel) ({_series('alert_channel_failing')})",),
            "short",
            ("{{channel}}",),
            width=6,
        ),
        Panel(
            "Attempts",
            "Attempts to send a message, by channel and outcome.",
            (f"sum by (channel, outcome) ({_increase('alert_notification_attempts_total')})",),
            "short",
            ("{{channel}} {{outcome}}",),
            width=6,
        ),
        Panel(
            "Waiting events",
            "Events of alerts that are not in their topic yet. Runbook: Events are missing in the topic of alerts.",
            (f"max({_series('alert_events_waiting')})",),
            "short",
            ("waiting",),
            width=6,
        ),
        Panel(
            "Published events",
            "Events that a process has put into the topic of alerts, and how often Kafka or PostgreSQL was away.",
            (_increase("alert_events_published_total"), _increase("alert_event_outages_total")),
            "short",
            ("published {{instance}}", "away {{instance}}"),
            width=6,
        ),
        Panel(
            "Heartbeats",
            "Heartbeats by outcome. Runbook: The heartbeat is missing.",
            (f"sum by (outcome) ({_increase('alert_heartbeats_total')})",),
            "short",
            ("{{outcome}}",),
            width=6,
        ),
        _percentiles(
            "Age of messages", "From a message's making to the receiver's answer.", "alert_notification_age_seconds"
        ),
        Panel(
            "Given up",
            "Messages that nobody took for a day.",
            (f"sum by (channel) ({_increase('alert_notifications_given_up_total')})",),
            "short",
            ("{{channel}}",),
        ),
        _sql(
            "Attempts (PostgreSQL)",
            "Attempts that ended, by minute, as the database has them.",
            (sent,),
            "short",
            stacked=True,
        ),
    )


def _status() -> tuple[Panel, ...]:
    return (
        Panel(
            "Requests",
            "Requests to status-svc, by status code.",
            (f"sum by (code) ({_rate('status_requests_total')})",),
            "reqps",
            ("{{code}}",),
            width=6,
        ),
        _percentiles("Answers", "Time until an answer begins.", "status_request_seconds", width=6),
        Panel(
            "Statements",
            "What PostgreSQL is asked: about the same, however many readers there are.",
            (f"sum({_rate('status_statements_total')})",),
            "short",
            ("statements",),
            width=6,
        ),
        Panel(
            "Outages",
            "Statements that PostgreSQL did not answer.",
            (_increase("status_outages_total"),),
            "short",
            ("{{instance}}",),
            width=6,
        ),
    )


def _history() -> tuple[Panel, ...]:
    rollup = """SELECT extract(epoch FROM now() - max(hour)) AS value FROM monitoring.website_availability_hourly
WHERE hour > now() - interval '7 days'"""
    stale = "SELECT count(*) AS value FROM monitoring.website_status WHERE stale AND active"
    rows = """SELECT hour AS time, sum(done) AS done, sum(unknown) AS unknown, sum(absent) AS absent
FROM monitoring.website_coverage_hourly WHERE $__timeFilter(hour) GROUP BY 1 ORDER BY 1"""
    return (
        _sql(
            "Newest roll-up",
            "Age of the beginning of the newest hour that dbadmin maintain has rolled up: above two hours, the views stand still.",
            (rollup,),
            "s",
            kind="stat",
            width=6,
        ),
        _sql(
            "Stale statuses",
            "Websites whose next result should have been there. Runbook: Statuses are stale.",
            (stale,),
            "short",
            kind="stat",
            width=6,
            alarming=True,
        ),
        _sql(
            "Slots by hour",
            "Slots of each hour: done, unknown, and absent, which nobody ever accounted for.",
            (rows,),
            "short",
            width=12,
            stacked=True,
        ),
    )
