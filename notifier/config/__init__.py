"""The configuration of a notifier, read from a ConfigMap and a Secret of the Argo Notifications Engine.

Whoever has them keeps them as they are. One bad key disables that key only, and is a Problem with
its line; upstream one bad key stops everything.
"""  # noqa: E501 -- one line for the summary

from notifier.config.configuration import (
    Configuration,
    Destination,
    Digest,
    Limits,
    Problem,
    Quiet,
    Rate,
    Scope,
    Subscription,
)
from notifier.config.loading import load

__all__ = [
    "Configuration",
    "Destination",
    "Digest",
    "Limits",
    "Problem",
    "Quiet",
    "Rate",
    "Scope",
    "Subscription",
    "load",
]
