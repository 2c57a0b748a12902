"""expr-lang and Go templates as notifications use them, over the environment of the corpus."""

from typing import Any

from vectors.corpus import go_kind
from vectors.outcome import Outcome, Vector

from spine.lang import exprlang, gotemplate, gotime
from spine.lang.exprlang import Namespace
from spine.lang.gofmt import verb_v
from spine.lang.govalue import StringMap, type_name


def _parse_time(text: str) -> gotime.Time:
    return gotime.parse_time(gotime.RFC3339, text)


TIME: dict[str, Any] = {
    "Parse": _parse_time,
    "Minute": gotime.parse_duration("1m"),
    "Hour": gotime.parse_duration("1h"),
    "RFC3339": gotime.RFC3339,
}
STRINGS: dict[str, Any] = {
    "ReplaceAll": lambda text, old, new: text.replace(old, new),
    "ToUpper": str.upper,
    "ToLower": str.lower,
}
FUNCTIONS = {"time": Namespace("time", TIME), "strings": Namespace("strings", STRINGS)}


def expr(given: Vector) -> Outcome:
    env = given["env"]
    obj = env["expr_obj"]
    secrets = {name: text.encode() for name, text in env["expr_secrets"].items()}
    values = {"obj": obj, "app": obj, "context": env["expr_ctx"], "secrets": secrets}
    value = exprlang.compile(given["text"], "1.17", FUNCTIONS).run(values)
    return Outcome({"percent_v": verb_v(value), "go_type": go_kind(type_name(value))})


def template(given: Vector) -> Outcome:
    env = given["env"]
    obj = env["template_obj"]
    secrets = {name: text.encode() for name, text in env["template_secrets"].items()}
    root = {
        "obj": obj,
        "app": obj,
        "context": StringMap(env["template_context"]),
        "secrets": secrets,
        "time": TIME,
        "strings": STRINGS,
        **env["template_vars"],
    }
    return Outcome({"output": gotemplate.compile(given["text"]).render(root)})
