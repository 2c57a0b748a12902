"""Runs the pods of the test cluster as local processes: scheduler, kubelet, network and names.

A real API server and real controllers make Pods; nothing there runs them. This does: each pod gets
a network namespace and an address of its own, each container a root of its own (the machine's,
seen through an overlay), its volumes at their absolute paths and its process as number 1. Names of
Services resolve, their addresses lead to ready pods, probes are asked, ends are told.

One process does it, `python -m kubelet`, which ends when its standard input does: all that it made
(processes, namespaces, bridges, mounts) is held by it alone and goes with it, killed or not.
Images are not pulled: see `kubelet.images`. It needs root.
"""
