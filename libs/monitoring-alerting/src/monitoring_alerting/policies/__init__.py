"""Alert policies: what is watched for, and on which targets."""

from monitoring_alerting.policies.choice import Policies, matches
from monitoring_alerting.policies.kinds import (
    KINDS,
    CertificatePolicy,
    DegradedPolicy,
    DependsOn,
    DownPolicy,
    Failures,
    Flapping,
    InvalidTargetPolicy,
    Kind,
    Locations,
    MissedPolicy,
    Policy,
    QuorumPolicy,
    Recovery,
    Severity,
)
from monitoring_alerting.policies.load import load_policies

__all__ = [
    "KINDS",
    "CertificatePolicy",
    "DegradedPolicy",
    "DependsOn",
    "DownPolicy",
    "Failures",
    "Flapping",
    "InvalidTargetPolicy",
    "Kind",
    "Locations",
    "MissedPolicy",
    "Policies",
    "Policy",
    "QuorumPolicy",
    "Recovery",
    "Severity",
    "load_policies",
    "matches",
]
