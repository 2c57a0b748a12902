"""The Kubernetes API: any kind, by discovery, in raw bytes.

`Kube` asks and changes; `follow` lists and watches. Configuration, credentials and TLS are those
of the official client; its models are not used, as decoding every object into one costs more
than all else that is done with it.
"""

from spine.kube.client import Kube, open_kube
from spine.kube.discovery import Resource
from spine.kube.watch import Change, Page, follow, state

__all__ = ["Change", "Kube", "Page", "Resource", "follow", "open_kube", "state"]
