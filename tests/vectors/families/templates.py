"""Go templates as a Sensor has them."""

from vectors.outcome import Outcome, Vector

from sensor.rendered import compile_rendering
from spine.lang.gjson import Document


def sensor(given: Vector) -> Outcome:
    render = compile_rendering(given["template"])
    return Outcome.of(render(Document(given["data"].encode(errors="surrogatepass")).decoded))
