"""A Sensor, compiled once.

Whatever can never work is found here and told all at once: in `lint`, at start, in the status,
never as a log line for each event. A plan is pure: it knows no bus, no clock and no client.
"""

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from eventbus.bus import Topic
from sensor.conditions import Conditions, compile_conditions
from sensor.dependencies import ANY, PlannedDependency
from sensor.filters import compile_filters
from sensor.gather import Gather, compile_gather
from sensor.keys import Key, compile_key, listed
from sensor.parameters import compile_parameters
from sensor.planned import Plan, PlannedTrigger, covers
from sensor.resets import Resets, compile_schedule
from sensor.sources import ParameterSource
from sensor.spec import Dependency, SensorSpec, SensorTrigger, TriggerTemplate
from sensor.templated import (
    changed_fields,
    compile_changing,
    json_of,
    keep_fixed,
    members,
    refuse_fixed,
)
from sensor.transforms import compile_transform
from sensor.trigger import Events, Render, Trigger
from sensor.unbuilt import UNBUILT, Unbuilt
from sensor.when import Declines, compile_when
from spine.errors import ConfigError
from spine.model import InvalidModel, Path, Problem, load
from spine.runtime import seconds

__all__ = ["GET_STATUS", "MAKE_OBJECTS", "Plan", "PlannedTrigger", "compile_plan"]

T = TypeVar("T")

GET_STATUS = frozenset({"http", "awsLambda", "openWhisk"})
"""Kinds whose success `policy.status` decides."""
MAKE_OBJECTS = frozenset({"k8s", "argoWorkflow"})
"""Kinds whose success `policy.k8s` decides."""


def compile_plan(name: str, namespace: str, spec: SensorSpec, *, unbuilt_ok: bool = False) -> Plan:
    """Compile a Sensor. Raises InvalidModel, a ConfigError, with every problem found.

    The paths of problems begin within `spec`. With `unbuilt_ok` triggers may be of kinds that can
    be rendered but cannot act yet, for those who only look.
    """
    return _Planner(name, namespace, spec, unbuilt_ok=unbuilt_ok).plan()


class _Planner:
    """Compiles the parts of one Sensor and collects what is wrong with them."""

    def __init__(self, name: str, namespace: str, spec: SensorSpec, *, unbuilt_ok: bool) -> None:
        self._name, self._namespace, self._spec = name, namespace, spec
        self._unbuilt_ok = unbuilt_ok
        self._names = [d.name for d in spec.dependencies]
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._safe = True

    def plan(self) -> Plan:
        self._refuse_twice("dependencies", ("name",), self._names)
        names = [t.template.name for t in self._spec.triggers]
        self._refuse_twice("triggers", ("template", "name"), names)
        triggers = {}
        for at, entry in enumerate(self._spec.triggers):
            planned = self._trigger(entry, ("triggers", at))
            if planned is not None:
                triggers[planned.name] = planned
        dependencies = [
            self._dependency(dependency, ("dependencies", at), triggers)
            for at, dependency in enumerate(self._spec.dependencies)
        ]
        if self._problems:
            raise InvalidModel(f"Sensor {self._name}", self._problems)
        used = {d.name: d for d in dependencies if d.triggers}
        for at, dependency in enumerate(dependencies):
            if not dependency.triggers:
                self._warn(("dependencies", at), f"{dependency.name}: no trigger waits for it")
        return Plan(
            name=self._name,
            namespace=self._namespace,
            spec=self._spec,
            dependencies=used,
            triggers=triggers,
            safe=self._safe,
            warnings=tuple(self._warnings),
            fingerprint=_fingerprint(self._spec, self._namespace, self._name),
            topics=_subjects([d.reads for d in used.values()]),
            compares_content=any(map(_compares_content, self._spec.dependencies)),
        )

    def _refuse_twice(self, what: str, key: Path, names: Sequence[str]) -> None:
        for at, name in enumerate(names):
            if name in names[:at]:
                problem = f"{name!r}: this name is taken by {what}[{names.index(name)}]"
                self._problems.append(Problem((what, at, *key), problem))

    def _try(self, path: Path, compiling: Callable[[], T]) -> T | None:
        try:
            return compiling()
        except InvalidModel as exc:  # its paths begin where it was found
            found = (Problem((*path, *p.path), p.message, p.warning) for p in exc.problems)
            self._problems.extend(found)
            return None
        except ConfigError as exc:
            self._problems.append(Problem(path, str(exc)))
            return None

    def _warn(self, path: Path, message: str) -> None:
        self._warnings.append(Problem(path, message, warning=True))

    # ------------------------------------------------------------------------ dependencies

    def _dependency(
        self, dependency: Dependency, path: Path, triggers: Mapping[str, PlannedTrigger]
    ) -> PlannedDependency:
        transform = self._try((*path, "transform"), lambda: compile_transform(dependency.transform))
        if transform is not None and not transform.safe:
            self._safe = False
        operator = dependency.filters_logical_operator
        filters = self._try(
            (*path, "filters"), lambda: compile_filters(dependency.filters, operator)
        )
        if filters is not None and not filters.safe:
            self._safe = False
        name = dependency.name
        return PlannedDependency(
            name=name,
            topic=Topic(dependency.event_source_name, dependency.event_name),
            triggers=tuple(t.name for t in triggers.values() if name in t.conditions.names),
            fingerprint=_fingerprint(dependency),
            transform=None if transform is None else transform.apply,
            check=None if filters is None else filters.check,
            context=None if filters is None or transform is not None else filters.context,
        )

    # ------------------------------------------------------------------------ triggers

    def _trigger(self, entry: SensorTrigger, path: Path) -> PlannedTrigger | None:
        template = entry.template
        conditions = self._try(
            (*path, "template", "conditions"),
            lambda: compile_conditions(template.conditions, self._names),
        )
        content = self._content(entry, path)
        if conditions is None or content is None:
            return None
        for message in conditions.warnings:
            self._warn((*path, "template", "conditions"), message)
        self._look_at_sources(entry, path, conditions)
        return self._planned(entry, path, conditions, content)

    def _planned(
        self, entry: SensorTrigger, path: Path, conditions: Conditions, content: Render
    ) -> PlannedTrigger | None:
        fallback = None
        if entry.dlq_trigger is not None:
            below = (*path, "dlqTrigger")
            rendering = self._content(entry.dlq_trigger, below)
            if rendering is None:
                return None
            self._look_at_sources(entry.dlq_trigger, below, conditions)
            fallback = self._planned(entry.dlq_trigger, below, conditions, rendering)
        retry, limit = entry.retry_strategy, entry.rate_limit
        order, claim = self._keys(entry, path)
        once = entry.idempotency_key
        return PlannedTrigger(
            name=entry.template.name,
            sensor=self._name,
            trigger=entry.template.trigger,
            conditions=conditions,
            retry=None if retry is None else retry.runtime(),
            rate_limit=None if limit is None else limit.runtime(),
            at_least_once=entry.at_least_once,
            policy=entry.policy,
            fallback=fallback,
            content=content,
            order=order,
            declines=self._when(entry, path, conditions),
            claim=claim,
            claimed_for=0.0 if once is None else seconds(once.duration),
            max_in_flight=entry.max_in_flight,
            max_active=self._most_active(entry, path),
            gather=self._gather(entry, path, conditions),
            resets=self._resets(entry.template, (*path, "template", "conditionsReset"), conditions),
        )

    def _when(self, entry: SensorTrigger, path: Path, conditions: Conditions) -> Declines | None:
        """Compile `if`."""
        text = entry.if_
        return (
            self._try((*path, "if"), lambda: compile_when(text, conditions.names)) if text else None
        )

    def _most_active(self, entry: SensorTrigger, path: Path) -> int | None:
        """Return what `maxActive` says."""
        trigger = entry.template.trigger
        if entry.max_active is not None and not trigger.makes_objects:
            where = f"template.{trigger.kind}"
            problem = f"counts objects that the trigger makes, and {where} makes none"
            self._problems.append(Problem((*path, "maxActive"), problem))
        return entry.max_active

    def _gather(self, entry: SensorTrigger, path: Path, conditions: Conditions) -> Gather | None:
        """Compile `debounce` or `batch`."""
        kind = "batch" if entry.debounce is None else "debounce"
        gather = self._try((*path, kind), lambda: compile_gather(entry.debounce, entry.batch))
        if gather is not None and conditions.stateful:
            problem = (
                f"holds events of one kind together, but conditions {conditions.text!r} wait for "
                f"several: make two triggers, or write || for &&"
            )
            self._problems.append(Problem((*path, kind), problem))
        return gather

    def _resets(
        self, template: TriggerTemplate, path: Path, conditions: Conditions
    ) -> Resets | None:
        """Compile `conditionsReset`."""
        schedules = []
        for at, entry in enumerate(template.conditions_reset):
            by, below = entry.by_time, (*path, at, "byTime")
            problems = len(self._problems)
            schedule = self._try(below, partial(compile_schedule, by.cron, by.timezone))
            if schedule is not None:
                schedules.append(schedule)
            elif problems == len(self._problems):
                self._warn((*below, "cron"), f"of no effect: no date ever fits {by.cron!r}")
        if template.conditions_reset and not conditions.stateful:
            self._warn(path, "of no effect: there is no && in the conditions")
            return None
        return Resets(schedules) if schedules else None

    def _keys(self, entry: SensorTrigger, path: Path) -> tuple[Key | None, Key | None]:
        """Compile what `orderBy` and `idempotencyKey` say."""
        order = claim = None
        if entry.order_by is not None:
            sources = listed(entry.order_by)
            order = self._try((*path, "orderBy"), lambda: compile_key(sources, "orderBy"))
            if entry.at_least_once is False:
                self._warn((*path, "atLeastOnce"), "ignored: actions in order are never lost")
        elif entry.max_in_flight == 1 and path[-1] != "dlqTrigger":
            order = _all_alike
        if (once := entry.idempotency_key) is not None:
            claim = self._try(
                (*path, "idempotencyKey", "src"),
                lambda: compile_key(listed(once.src), "idempotencyKey"),
            )
        return order, claim

    def _content(self, entry: SensorTrigger, path: Path) -> Render | None:
        trigger = entry.template.trigger
        if isinstance(trigger, Unbuilt) and not self._unbuilt_ok:
            self._problems.append(Problem((*path, "template", trigger.kind), UNBUILT))
        self._look_at_policy(entry, path)
        if not self._may_work(entry, (*path, "template", trigger.kind)):
            return None
        if not entry.parameters:
            render = self._try((*path, "template", trigger.kind), trigger.compile)
        else:
            self._look_at_template(trigger, path)
            render = self._try((*path, "parameters"), lambda: _changing(entry))
        judged = _judgement(entry)
        return render if render is None or not judged else _judged(render, judged)

    def _may_work(self, entry: SensorTrigger, path: Path) -> bool:
        """Check what no parameter can mend."""
        trigger, before = entry.template.trigger, len(self._problems)
        changed = changed_fields(trigger, entry.parameters)
        self._try(path, partial(trigger.check_written, changed))
        return len(self._problems) == before

    def _look_at_template(self, trigger: Trigger, path: Path) -> None:
        """Warn where parameters must change a template before it works at all."""
        try:
            trigger.compile()
        except ConfigError as exc:
            self._warn((*path, "template", trigger.kind), f"without its parameters: {exc}")

    def _look_at_policy(self, entry: SensorTrigger, path: Path) -> None:
        policy, kind = entry.policy, entry.template.trigger.kind
        if policy is not None and policy.k8s is not None:
            if kind not in MAKE_OBJECTS:
                self._warn((*path, "policy", "k8s"), f"ignored: {kind} makes no Kubernetes object")
            elif policy.k8s.labels is None:
                where = (*path, "policy", "k8s", "labels")
                self._problems.append(Problem(where, "required field is missing"))
        if policy is not None and policy.status is not None and kind not in GET_STATUS:
            self._warn((*path, "policy", "status"), f"ignored: {kind} gets no status")

    def _look_at_sources(self, entry: SensorTrigger, path: Path, conditions: Conditions) -> None:
        """Warn where a value will never be there; such an entry is left out."""
        for at, src in _sources(entry, path):
            name = src.dependency_name
            if name in conditions.names:
                continue
            if name in self._names:
                why = f"{name!r} is not in the conditions of this trigger, so it is never there"
            else:
                near = difflib.get_close_matches(name, self._names, n=1)
                why = f"no dependency is called {name!r}" + (
                    f" (did you mean {near[0]})" if near else ""
                )
            self._warn((*at, "dependencyName"), why)


def _sources(value: Any, path: Path) -> Iterator[tuple[Path, ParameterSource]]:
    """Yield the parameter sources of a trigger and where they stand."""
    if isinstance(value, ParameterSource):
        yield path, value
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _sources(item, (*path, at))
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            if name != "dlq_trigger":  # looked at on its own
                yield from _sources(getattr(value, name), (*path, info.alias or name))


def _changing(entry: SensorTrigger) -> Render:
    written = entry.template.trigger
    kind = written.kind
    refuse_fixed(entry.parameters, written, f"{kind}.")

    def build(document: bytes) -> Render:
        template = load(TriggerTemplate, members(document), what="template", lenient=True)
        if template.trigger.kind != kind:
            raise ConfigError(f"making a trigger {template.trigger.kind} of {kind}: not possible")
        keep_fixed(written, template.trigger)
        return template.trigger.compile()

    return compile_changing(json_of(entry.template), compile_parameters(entry.parameters), build)


def _all_alike(_: Events) -> str:
    """Return what orders all actions of a trigger: one after another, as their events came."""
    return "*"


def _judgement(entry: SensorTrigger) -> dict[str, Any]:
    """Return what lets the sender know what is success: what of `policy` is for its kind."""
    policy, kind = entry.policy, entry.template.trigger.kind
    if policy is None:
        return {}
    if policy.status is not None and kind in GET_STATUS:
        return {"allow": list(policy.status.allow)}
    if policy.k8s is not None and kind in MAKE_OBJECTS:
        return {"policy": policy.k8s.model_dump(by_alias=True, exclude_none=True)}
    return {}


def _judged(render: Render, judged: dict[str, Any]) -> Render:
    return lambda events: {**render(events), **judged}


def _compares_content(dependency: Dependency) -> bool:
    filters = dependency.filters
    context = None if filters is None else filters.context
    return context is not None and bool(context.datacontenttype)


def _fingerprint(model: BaseModel, *more: str) -> str:
    text = model.model_dump_json(by_alias=True, exclude_defaults=True)
    return hashlib.blake2b("\x00".join([text, *more]).encode(), digest_size=16).hexdigest()


def _subjects(topics: Sequence[Topic]) -> tuple[Topic, ...]:
    """Return topics of which no two share an event: a durable refuses filters that overlap."""
    distinct = list(dict.fromkeys(topics))
    kept = [t for t in distinct if not any(covers(o, t) for o in distinct if o != t)]
    crossing = any(
        a.source in {ANY, b.source} and b.name in {ANY, a.name}
        for a in kept
        for b in kept
        if a != b
    )
    return (Topic(ANY, ANY),) if crossing else tuple(kept)
