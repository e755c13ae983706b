"""Clocks: slots are moments of the wall clock, so all machines should agree on it."""

from __future__ import annotations

from dbadmin.doctor.findings import Finding, failed, passed, warned

_WARN_S = 0.5
_FAIL_S = 5.0


def judge(subject: str, ahead_s: float, uncertain_s: float) -> Finding:
    """Judge a clock that was measured `ahead_s` seconds ahead of this machine's, within `uncertain_s` seconds."""
    off = max(0.0, abs(ahead_s) - uncertain_s)
    text = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    mend = "let a time service (NTP) set both clocks"
    if off > _FAIL_S:
        return failed(subject, text, mend)
    if off > _WARN_S:
        return warned(subject, text, mend)
    return passed(subject, f"as this machine's, within {max(abs(ahead_s), uncertain_s):.1f} s")
