"""CloudEvents on the bus, and the text that a log trigger writes of one."""

from vectors.corpus import event
from vectors.families.text import as_json
from vectors.outcome import Outcome, Vector

from sensor.firing import context_json
from sensor.triggers.log import event_text
from spine import event as wire


def encode(given: Vector) -> Outcome:
    text = wire.encode(event(given["event"])).decode()
    return Outcome.of(as_json(text), raw=text)


def decode(given: Vector) -> Outcome:
    read = wire.decode(given["message"].encode(errors="surrogatepass"))
    data = None if read.data is None else read.data.decode("utf-8", "replace")
    return Outcome.of({"context": as_json(context_json(read)), "data": data})


def text(given: Vector) -> Outcome:
    return Outcome.of(event_text(event(given["event"])))
