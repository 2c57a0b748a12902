"""Go templates as a Sensor has them."""

import json

from vectors.outcome import Outcome, Vector

from spine.lang import EvaluationError, gotemplate


def sensor(given: Vector) -> Outcome:
    template = gotemplate.compile(given["template"])
    text = template.render({"Input": json.loads(given["data"])})
    if text in {"", "<no value>"}:
        raise EvaluationError(f"the template gave {text!r}")
    return Outcome.of(text)
