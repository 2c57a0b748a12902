"""gjson paths."""

from vectors.outcome import Outcome, Vector

from spine.lang import gjson as language
from spine.lang.gjson import Document, Kind


def gjson(given: Vector) -> Outcome:
    data = given["data"].encode(errors="surrogatepass")
    found = language.compile(given["path"]).get(Document(data))
    if found is None:
        return Outcome.of({"exists": False})
    return Outcome.of(
        {
            "exists": True,
            "type": found.kind.value,
            "value": "null" if found.kind is Kind.NULL else found.text,
            "string": found.text,
            "raw": found.raw,
            "bool": found.boolean,
            "number": found.number,
        }
    )
