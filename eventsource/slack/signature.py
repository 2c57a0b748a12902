"""Who posted: Slack signs each request with a secret that only it and we know, and with the time.

Source: Slack's public documentation, "Verifying requests from Slack". Nothing of what was expected
is ever told to who asks: it would be the signature for a forged request.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from eventsource.answers import Answer

AGE = 300
"""Seconds by which the time of a request may differ from ours."""
UNSIGNED = Answer(401, "the request is not signed\n")
STALE = Answer(401, "the request is not of now\n")
FORGED = Answer(403, "the signature is wrong\n")
_TIME, _SIGNATURE = b"x-slack-request-timestamp", b"x-slack-signature"
_VERSION = b"v0="
_DIGITS = 12


def refusal(
    fields: Mapping[bytes, bytes], body: bytes, secrets: Sequence[str], now: float
) -> Answer | None:
    """Return the answer to a request that is not signed with one of the secrets, and lately."""
    moment, given = fields.get(_TIME, b""), fields.get(_SIGNATURE, b"")
    if not moment or not given:
        return UNSIGNED
    if not moment.isdigit() or len(moment) > _DIGITS or abs(now - int(moment)) > AGE:
        return STALE
    good = [hmac.compare_digest(signature(secret, moment, body), given) for secret in secrets]
    return None if any(good) else FORGED


def signature(secret: str, moment: bytes, body: bytes) -> bytes:
    """Return the signature of a body that was posted at a moment, Unix seconds in decimals."""
    text = b"v0:%b:%b" % (moment, body)
    return _VERSION + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest().encode()
