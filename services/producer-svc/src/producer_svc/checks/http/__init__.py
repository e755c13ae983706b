"""Checks of a website over HTTP and HTTPS. `engines` says which of the two engines makes them.

`native_engine` is the engine native, on the package probe-transport. `requests_engine`, `requests_probe`,
`requests_adapter`, `connection`, `sockets`, `resolver` and `progress` are the engine requests. Both use all other
modules.
"""
