"""Lists the watched objects with the typed client, to compare: python -m benchmarks.typed FILE."""

import asyncio
import gc
import sys
import time
from pathlib import Path


def memory() -> float:
    """Return the resident set of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


async def main(kubeconfig: str) -> None:
    """List all, keep the models, and say what it took."""
    from kubernetes.aio import client, config

    await config.load_kube_config(config_file=kubeconfig)
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        await core.list_namespaced_config_map("default", limit=1)
        gc.collect()
        before, began = memory(), time.monotonic()
        found = await core.list_namespaced_config_map("default", label_selector="bench=watched")
        took = time.monotonic() - began
        print(f"{took:8.2f} s   memory {memory() - before:+.0f} MiB   of {len(found.items):,}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
