"""The configuration: read strictly, before a service connects to anything, with every fault reported at once."""

from monitoring_core.config.consumer import Assignor, ConsumerConfig, GroupProtocol
from monitoring_core.config.database import DatabaseConfig, TimeSeries
from monitoring_core.config.faults import ConfigError, Fault
from monitoring_core.config.kafka import KafkaConfig
from monitoring_core.config.load import CONFIG_VARIABLE, DEFAULT_PATH, Setting, load_config, load_metrics, load_settings
from monitoring_core.config.logging import LoggingConfig
from monitoring_core.config.metrics import MetricsConfig
from monitoring_core.config.monitor import EngineName, HttpVersion, MonitorConfig
from monitoring_core.config.roles import Account, Role, RolesConfig
from monitoring_core.config.sections import Config
from monitoring_core.config.status import StatusConfig
from monitoring_core.config.values import Secret, format_duration, parse_duration, written

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_PATH",
    "Account",
    "Assignor",
    "Config",
    "ConfigError",
    "ConsumerConfig",
    "DatabaseConfig",
    "EngineName",
    "Fault",
    "GroupProtocol",
    "HttpVersion",
    "KafkaConfig",
    "LoggingConfig",
    "MetricsConfig",
    "MonitorConfig",
    "Role",
    "RolesConfig",
    "Secret",
    "Setting",
    "StatusConfig",
    "TimeSeries",
    "format_duration",
    "load_config",
    "load_metrics",
    "load_settings",
    "parse_duration",
    "written",
]
