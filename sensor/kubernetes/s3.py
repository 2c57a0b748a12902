"""Objects that stand in a bucket of S3, or of a server that speaks like it.

One signed GET: with a bound, a deadline, and from where it is allowed only. Keys are read from
their Secrets whenever it is done, so a rotated one counts at once. A bucket of AWS in another
region than was said is found there, as the answer names its region.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from sensor.artifact import S3Artifact
from sensor.kubernetes.fetching import content_of
from spine.errors import ConfigError
from spine.http.egress import check_host
from spine.http.resolver import guarded_connector
from spine.secrets import SecretRef, Secrets
from spine.sigv4 import Keys, Scope, quoted, signed_headers

MOST = 1024 * 1024
"""Bytes of a document; an object of Kubernetes cannot be much larger."""
SECONDS = 30.0
AWS = "amazonaws.com"
_REGION = re.compile(r"s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?")
_ANY_REGION = re.compile(r"[a-z0-9-]{1,40}")
_TAGS = re.compile(rb"<(Code|Message|Region)>([^<]{1,1000})</")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    region: str
    """Region of the bucket, where the answer names one."""
    content: bytes
    code: str = ""
    message: str = ""
    date: str = ""


async def read(artifact: S3Artifact, secrets: Secrets) -> str:
    """Return the text of an object. Raises ConfigError for what cannot be had."""
    what = f"reading s3://{artifact.bucket.name}/{artifact.bucket.key}"
    keys = _keys(artifact, secrets)
    endpoint, known = artifact.endpoint or f"s3.{AWS}", _REGION.fullmatch(artifact.endpoint)
    region = artifact.region or (known[1] if known else "us-east-1")
    tls = _tls(artifact, secrets, what)
    answer = await _get(artifact, endpoint, region, keys, tls)
    if answer.region not in {"", region} and answer.status in {301, 307, 400, 403}:
        region = answer.region
        if endpoint == f"s3.{AWS}" or known:
            endpoint = f"s3.{region}.{AWS}"
        answer = await _get(artifact, endpoint, region, keys, tls)
    if answer.status != 200:  # noqa: PLR2004 -- all that S3 answers a GET with
        raise _refusal(artifact, what, answer)
    if len(answer.content) > MOST:
        raise ConfigError(f"{what}: it is larger than {MOST // 1024} KiB")
    try:
        return answer.content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{what}: it is no UTF-8") from None


def _keys(artifact: S3Artifact, secrets: Secrets) -> Keys | None:
    if artifact.access_key is None or artifact.secret_key is None:
        return None  # a bucket that anybody may read
    return Keys(
        secrets.secret(artifact.access_key).strip(), secrets.secret(artifact.secret_key).strip()
    )


def _tls(artifact: S3Artifact, secrets: Secrets, what: str) -> ssl.SSLContext | bool:
    if artifact.ca_certificate is None or artifact.insecure:
        return True
    try:
        return ssl.create_default_context(cadata=secrets.secret(artifact.ca_certificate))
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError(f"{what}: caCertificate holds no certificate in PEM") from exc


def _address(artifact: S3Artifact, endpoint: str) -> URL:
    """Return the URL of an object: the bucket in the host at AWS, in the path elsewhere."""
    scheme = "http" if artifact.insecure else "https"
    bucket, key = artifact.bucket.name, quoted(artifact.bucket.key)
    if endpoint.endswith(AWS) and "." not in bucket:  # no certificate has a dot more
        return URL(f"{scheme}://{bucket}.{endpoint}/{key}", encoded=True)
    return URL(f"{scheme}://{endpoint}/{bucket}/{key}", encoded=True)


async def _get(
    artifact: S3Artifact, endpoint: str, region: str, keys: Keys | None, tls: ssl.SSLContext | bool
) -> _Answer:
    url = _address(artifact, endpoint)
    what = f"reading {url}"
    check_host(url.host or "", what)
    headers = {}
    if keys is not None:
        headers = signed_headers(
            keys,
            Scope(region, "s3"),
            datetime.now(UTC),
            host=url.host_port_subcomponent or "",
            path=url.raw_path,
        )
    connector = guarded_connector(limit=1)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as client,
            client.get(url, headers=headers, ssl=tls, allow_redirects=False) as answer,
        ):
            return await _read(answer)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        why = str(exc.__cause__ or exc) or type(exc).__name__
        raise ConfigError(f"{what}: {why}") from exc


async def _read(answer: aiohttp.ClientResponse) -> _Answer:
    content = await content_of(answer, MOST)
    if answer.status == 200:  # noqa: PLR2004 -- the object
        return _Answer(200, "", content)
    tags = {key.decode(): value.decode(errors="replace") for key, value in _TAGS.findall(content)}
    region = answer.headers.get("x-amz-bucket-region") or tags.get("Region", "")
    return _Answer(
        answer.status,
        region if _ANY_REGION.fullmatch(region) else "",
        b"",
        tags.get("Code", ""),
        tags.get("Message", ""),
        answer.headers.get("Date", ""),
    )


def _refusal(artifact: S3Artifact, what: str, answer: _Answer) -> ConfigError:
    """Return what a refusal means, and what to do about it."""
    says = " ".join(filter(None, [str(answer.status), answer.code]))
    says += f": {answer.message}" if answer.message else ""
    return ConfigError(f"{what}: {says}", hint=_hint(artifact, answer))


def _hint(artifact: S3Artifact, answer: _Answer) -> str:
    by_code = _HINTS.get(answer.code)
    if by_code is not None:
        return by_code(artifact, answer)
    bucket, key = artifact.bucket.name, artifact.bucket.key
    if answer.status == 404:  # noqa: PLR2004 -- not found
        return f"the bucket holds no {key!r}: keys have no slash in front, and case counts"
    if answer.status != 403:  # noqa: PLR2004 -- forbidden
        return ""
    if artifact.access_key is None:
        return "the bucket is not for everybody: set accessKey and secretKey"
    return (
        f"allow s3:GetObject on arn:aws:s3:::{bucket}/{key}; without s3:ListBucket"
        " an object that is not there looks forbidden, too"
    )


def _shown(ref: SecretRef | None) -> str:
    return f"key {ref.key!r} of Secret {ref.name!r}" if ref is not None else "which is not set"


def _skew(date: str) -> str:
    """Say how far our clock is from the server's, by the `Date` of its answer."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return "the server's differs by more than it takes"
    seconds = round((datetime.now(UTC) - theirs).total_seconds())
    return f"it is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} the server's"


def _unknown_key(artifact: S3Artifact, _: _Answer) -> str:
    return f"look at accessKey, {_shown(artifact.access_key)}: the server knows no such key"


_HINTS: Mapping[str, Callable[[S3Artifact, _Answer], str]] = {
    "RequestTimeTooSkewed": lambda _, answer: (
        f"set the clock of this machine: {_skew(answer.date)}"
    ),
    "InvalidAccessKeyId": _unknown_key,
    "InvalidAccessKey": _unknown_key,
    "SignatureDoesNotMatch": lambda artifact, _: (
        f"look at secretKey, {_shown(artifact.secret_key)}: it does not belong to accessKey"
    ),
    "NoSuchBucket": lambda artifact, _: (
        f"there is no bucket {artifact.bucket.name!r}: look at bucket.name, endpoint and region"
    ),
}
"""What to do about what S3 answers with."""
