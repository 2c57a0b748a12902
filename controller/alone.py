"""Checks of one object that are told beside those of its model: what it can never do, or hardly.

They need nothing but the object, so they are the same in `lint`, in `run`, in admission and in the
status.
"""

import re
from collections.abc import Iterator

from controller.objects import Checked, references
from controller.pitfalls import pitfalls
from spine.errors import ConfigError
from spine.manifest import Finding

METRICS_PORT = 7777
"""Where every pod serves its metrics."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def alone(checked: Checked, *, pod: bool = True) -> Iterator[Finding]:
    """Yield what to say of one object by itself.

    `pod` says that it gets a pod of its own, as in a cluster.
    """
    if checked.spec is None:
        return
    if checked.object.kind == "EventBus" and checked.spec.unsupported:
        yield checked.finding(("spec",), checked.spec.unsupported)
    if checked.object.kind == "Notifier":
        yield from _watches(checked)
    for path, ref in references(checked):
        if not ref.name:
            yield checked.finding((*path, "name"), "required field is missing")
    yield from pitfalls(checked)
    if pod and checked.object.kind == "EventSource":
        yield from _in_a_pod(checked)


def _in_a_pod(checked: Checked) -> Iterator[Finding]:
    """Look at the ports of an EventSource, whose pod serves one for all."""
    from eventsource.spec import ports

    for port in ports(checked.spec):
        if port.number == METRICS_PORT:
            message = f"port {METRICS_PORT} serves the metrics of every pod: choose another"
            yield checked.finding(("spec", *port.path), message, "warning")
            return


def _watches(checked: Checked) -> Iterator[Finding]:
    """Look at what a Notifier watches."""
    from notifier.selectors import compile_selector

    watches = checked.spec.watches
    for index, watch in enumerate(watches):
        path = ("spec", "watches", index)
        if watch in watches[:index]:
            yield checked.finding(path, f"{watch} is watched twice, and told twice", "warning")
        if watch.label_selector:
            try:
                compile_selector(watch.label_selector)
            except ConfigError as exc:
                yield checked.finding((*path, "labelSelector"), str(exc))
        if watch.variable and not _VARIABLE.fullmatch(watch.variable):
            why = f"{watch.variable!r}: a variable is letters, digits and _"
            yield checked.finding((*path, "variable"), why)
