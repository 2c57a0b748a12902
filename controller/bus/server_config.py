"""The configuration of the servers, as they read it: nats.conf.

Reference: https://docs.nats.io/running-a-nats-service/configuration
"""

import textwrap

from controller.bus.install import Install
from controller.bus.names import CLIENT, CLUSTER, MONITOR, Names

FOLDER = "/etc/nats-config"
"""Where configuration and certificates are mounted."""
CONFIG, AUTH = "nats-js.conf", "auth.conf"
PID = "/var/run/nats/nats.pid"
DATA = "/data/jetstream"
LAME_DUCK = 30
"""Seconds in which a server that stops sends its clients to others; the server's least."""


def nats_conf(names: Names, wanted: Install) -> str:
    """Return the configuration of all servers; what differs between them is in the environment."""
    payload = wanted.max_payload
    return "\n".join(
        [
            "server_name: $SERVER_NAME",
            f'listen: "0.0.0.0:{CLIENT}"',
            f'http: "0.0.0.0:{MONITOR}"',
            f'pid_file: "{PID}"',
            f"max_payload: {payload}",
            f"max_pending: {max(payload * 2, 64 * 1024**2)}",
            f'lame_duck_duration: "{LAME_DUCK}s"',
            'lame_duck_grace_period: "10s"',
            _tls(""),
            _block("jetstream", f'key: $JS_KEY\nstore_dir: "{DATA}/store"\n{wanted.store}'),
            *([_cluster(names, wanted.replicas)] if wanted.replicas > 1 else []),
            f'include "./{AUTH}"',
            "",
        ]
    )


def _cluster(names: Names, count: int) -> str:
    """Return the part on routes; clients are not told of addresses, as no certificate has them."""
    routes = "\n".join(f"  nats://{names.host(pod)}:{CLUSTER}" for pod in names.pods(count))
    return _block(
        "cluster",
        f'name: "{names.bus}"\nlisten: "0.0.0.0:{CLUSTER}"\nno_advertise: true\n'
        f"cluster_advertise: $CLUSTER_ADVERTISE\nconnect_retries: 120\n"
        f"routes: [\n{routes}\n]\n{_tls('cluster-')}",
    )


def _tls(prefix: str) -> str:
    verify = "\nverify: true" if prefix else ""
    return _block(
        "tls",
        f'cert_file: "{FOLDER}/{prefix}server-cert.pem"\n'
        f'key_file: "{FOLDER}/{prefix}server-key.pem"\n'
        f'ca_file: "{FOLDER}/{prefix}ca-cert.pem"\ntimeout: 5{verify}',
    )


def _block(name: str, text: str) -> str:
    return f"{name} {{\n{textwrap.indent(text, '  ')}\n}}"
