"""Who may do what on a bus: accounts, users and permissions, as the server's configuration.

Clients share one login that is good for the streams and buckets of ours and no others: they
publish, read, acknowledge and create what is missing; only the controller changes a stream that
exists. A bus that was taken over from Argo Events goes on to serve its pods too, which make
buckets and durables with names of their own; there the login is good for the whole account.

The account is called `js` as in Argo Events, since the store on the disk has its name in it.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from eventbus.bus import ACTIONS, DEAD, DECISIONS, EVENTS, LEASES, STATE
from spine.errors import ConfigError

ACCOUNT, SYSTEM = "js", "sys"
STREAMS = (EVENTS, ACTIONS, DEAD, DECISIONS)
BUCKETS = (STATE, LEASES)


class Login(NamedTuple):
    """A user and a password."""

    user: str
    password: str

    @property
    def text(self) -> str:
        """The text of a Secret with it, as Argo Events writes it."""
        return f"username: {self.user}\npassword: {self.password}\n"

    @classmethod
    def of(cls, text: str, where: str) -> "Login":
        """Read such a text. Raises ConfigError."""
        try:
            raw = yaml.load(text, yaml.BaseLoader)  # noqa: S506 -- it makes nothing but texts
            return cls(str(raw["username"]), str(raw["password"]))
        except (yaml.YAMLError, KeyError, TypeError):
            raise ConfigError(
                f"reading {where}: no username and password in it", hint="restore the Secret"
            ) from None


def published() -> Iterator[str]:
    """Yield the subjects to which a client may publish."""
    yield f"{EVENTS}.*.*"
    yield from (f"{stream}.>" for stream in STREAMS[1:])
    yield from (f"$KV.{bucket}.>" for bucket in BUCKETS)
    yield "$JS.ACK.>"
    for stream in (*STREAMS, *(f"KV_{bucket}" for bucket in BUCKETS)):
        yield from (
            f"$JS.API.STREAM.{method}.{stream}"
            for method in ("INFO", "CREATE", "MSG.GET", "MSG.DELETE")
        )
        yield from (
            f"$JS.API.CONSUMER.{method}.{stream}.*" for method in ("INFO", "DELETE", "MSG.NEXT")
        )
        yield f"$JS.API.CONSUMER.CREATE.{stream}.>"
        yield f"$JS.API.CONSUMER.LIST.{stream}"
    for bucket in BUCKETS:
        yield f"$JS.API.STREAM.PURGE.KV_{bucket}"
        yield f"$JS.API.DIRECT.GET.KV_{bucket}.>"


def accounts(client: Login, controller: Login, system: Login, *, whole_account: bool) -> str:
    """Return the part of the server's configuration that says who may do what.

    `whole_account` lets clients do everything in their account.
    """
    user = _user(client)
    if not whole_account:
        user["permissions"] = {
            "publish": {"allow": list(published())},
            "subscribe": {"allow": ["_INBOX.>"]},
        }
    made = {
        ACCOUNT: {"jetstream": "enabled", "users": [user, _user(controller)]},
        SYSTEM: {"users": [_user(system)]},
    }
    return f'system_account: "{SYSTEM}"\naccounts: {json.dumps(made, indent=2)}\n'


def _user(login: Login) -> dict[str, Any]:
    return {"user": login.user, "password": login.password}
