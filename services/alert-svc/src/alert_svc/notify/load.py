"""Load alerts.yaml, policies and notifications: strictly, with every fault at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from alert_svc.notify.channel_settings import CHANNELS, Channel, ChannelType
from alert_svc.notify.settings import Grouping, Heartbeat, Notifications, Route
from alert_svc.notify.templates import fault_of
from monitoring_alerting.policies.items import Items
from monitoring_alerting.policies.load import read_policies
from monitoring_core.config.values.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_alerting.policies import Policies


@attrs.frozen
class Alerts:
    """All that alerts.yaml holds."""

    policies: Policies
    notifications: Notifications


def load_alerts(path: Path) -> Alerts:
    """Read the file.

    Raises:
        ConfigError: anything is wrong, with every fault found. Nothing else is ever raised.
    """
    items = Items(path)
    items.check_sections()
    policies = read_policies(items)
    channels = _channels(items)
    routes = _routes(items, {name for name, _ in _named(items)})
    grouping = _section(items, "grouping", Grouping)
    heartbeat = _section(items, "heartbeat", Heartbeat)
    items.finish()
    if channels and "routes" not in items.data:
        routes = [Route(channels=tuple(channel.name for channel in channels))]
    return Alerts(
        policies,
        Notifications(
            channels=tuple(channels), routes=tuple(routes), grouping=grouping or Grouping(), heartbeat=heartbeat
        ),
    )


def _channels(items: Items) -> list[Channel]:
    channels = []
    for path, item in _list(items, "channels", "{name: ops, type: webhook, …}"):
        named = item.get("type")
        if named not in list(ChannelType):
            known = ", ".join(ChannelType)
            said = "is required" if named is None else f"must be one of {known}, got {shown(named)}"
            items.fault(f"{path}.type", said)
        elif channel := items.item(path, item, CHANNELS[ChannelType(named)]):
            for key in ("title", "text"):
                if (template := getattr(channel, key)) is not None and (bad := fault_of(template)):
                    items.fault(f"{path}.{key}", bad)
            channels.append(channel)
    items.unique_names([(path, name) for name, path in _named(items)])
    return channels


def _named(items: Items) -> list[tuple[str, str]]:
    """The names of channels, faulty ones too, and their paths."""
    found = items.data.get("channels")
    return [
        (item["name"], f"channels[{number}]")
        for number, item in enumerate(found if isinstance(found, list) else [])
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    ]


def _routes(items: Items, known: set[str]) -> list[Route]:
    routes = []
    for path, item in _list(items, "routes", "{match: {team: shop}, channels: [ops]}"):
        if route := items.item(path, item, Route):
            routes.append(route)
        # Of the plain data, since a route with another fault may name a channel that there is not, too.
        escalation = item.get("escalation")
        escalated = escalation.get("channels") if isinstance(escalation, dict) else None
        for key, names in (("channels", item.get("channels")), ("escalation.channels", escalated)):
            for name in names if isinstance(names, list) else []:
                if isinstance(name, str) and name not in known:
                    items.fault(f"{path}.{key}", f"there is no channel {shown(name)}")
    return routes


def _list(items: Items, section: str, example: str) -> list[tuple[str, dict[str, Any]]]:
    """The path and the settings of each item of a section that is a list."""
    found = items.data.get(section)
    if found is None:
        return []
    if not isinstance(found, list) or not found:
        items.fault(section, f"must be a list, like `- {example}`")
        return []
    made = []
    for number, item in enumerate(found):
        path = f"{section}[{number}]"
        if isinstance(item, dict):
            made.append((path, item))
        else:
            items.fault(path, f"must be a mapping like {example}, got {shown(item)}")
    return made


def _section(items: Items, name: str, kind: type[Any]) -> Any:
    found = items.data.get(name)
    if found is None:
        return None
    if not isinstance(found, dict):
        items.fault(name, f"must be a section with settings, got {shown(found)}")
        return None
    return items.item(name, found, kind)
