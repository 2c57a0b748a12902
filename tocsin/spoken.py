"""Which field of a manifest speaks which language, for `tocsin eval --fields`."""

from typing import NamedTuple


class Field(NamedTuple):
    """A field of a manifest that speaks a language."""

    kind: str
    path: str
    """Such as `spec.dependencies[].transform.jq`; `*` is any name."""
    language: str


_SOURCE = (("src.dataKey", "gjson"), ("src.dataTemplate", "template"), ("src.contextKey", "gjson"),
           ("src.contextTemplate", "template"), ("dest", "sjson"))  # fmt: skip

FIELDS = (
    Field("Sensor", "spec.dependencies[].transform.jq", "jq"),
    Field("Sensor", "spec.dependencies[].transform.script", "lua"),
    Field("Sensor", "spec.dependencies[].filters.data[].path", "gjson"),
    Field("Sensor", "spec.dependencies[].filters.data[].value", "regex"),
    Field("Sensor", "spec.dependencies[].filters.data[].template", "template"),
    Field("Sensor", "spec.dependencies[].filters.exprs[].expr", "govaluate"),
    Field("Sensor", "spec.dependencies[].filters.exprs[].fields[].path", "gjson"),
    Field("Sensor", "spec.dependencies[].filters.script", "lua"),
    Field("Sensor", "spec.triggers[].template.conditions", "conditions"),
    Field("Sensor", "spec.triggers[].template.conditionsReset[].byTime.cron", "cron"),
    *(Field("Sensor", f"spec.triggers[].parameters[].{path}", name) for path, name in _SOURCE),
    *(
        Field("Sensor", f"spec.triggers[].template.http.payload[].{path}", name)
        for path, name in _SOURCE
    ),
    Field("Sensor", "spec.triggers[].if", "expr"),
    Field("Sensor", "spec.triggers[].debounce.duration", "duration"),
    Field("Sensor", "spec.triggers[].batch.duration", "duration"),
    Field("Sensor", "spec.triggers[].retryStrategy.duration", "duration"),
    Field("Sensor", "spec.startFrom", "duration"),
    Field("EventSource", "spec.webhook.*.filter.expression", "expr-1.15"),
    Field("EventSource", "spec.calendar.*.schedule", "cron"),
    Field("EventSource", "spec.calendar.*.interval", "duration"),
)
