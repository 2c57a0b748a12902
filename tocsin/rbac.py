"""`tocsin rbac`: print, or check, the least rights that manifests need in a cluster."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import click
import yaml

from controller.rights import Rights, rights_of
from controller.roles import Named, documents, named
from spine.errors import ConfigError, KubeError
from spine.manifest import Object, read
from tocsin import report
from tocsin.checks import Setting, check

Plurals = dict[tuple[str, str], tuple[str, bool]]


@click.command("rbac")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--check", "asks", is_flag=True, help="Ask the cluster what of it is missing, for whoever asks."
)
@click.option("--as", "account", default="", metavar="NS:NAME", help="Ask for a service account.")
@click.option(
    "--kubeconfig", default="", metavar="FILE", help="Cluster to ask; else KUBECONFIG, if set."
)
@click.option("--offline", is_flag=True, help="Ask no cluster how kinds are called in the plural.")
@click.option("-n", "--namespace", default="", help="Namespace of objects that name none.")
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    paths: tuple[str, ...],
    asks: bool,
    account: str,
    kubeconfig: str,
    offline: bool,
    namespace: str,
) -> None:
    """Print the least rights that EventSources, Sensors and Notifiers need.

    Gives ServiceAccount, Role or ClusterRole and binding for each object, for `kubectl apply`. What
    parameters choose at run time is said in comments. Secrets and ConfigMaps are mounted into pods
    and need no right.

    With --check nothing is printed but what is missing; exits with 1 if anything is.

    \b
    Examples:
      tocsin rbac manifests/ | kubectl apply -f -
      tocsin rbac manifests/ --check
      tocsin rbac manifests/ --check --as playground:ingress-maker
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    needs = _needs(ctx, paths, namespace)
    found = asyncio.run(_answer(needs, kubeconfig, account, asks=asks, offline=offline))
    if asks:
        missing, asked = found
        for line in missing:
            click.echo(line)
        click.echo(f"{asked - len(missing)} of {asked} rights are there", err=True)
        ctx.exit(1 if missing else 0)
    plurals, guessed = found
    _print(needs, plurals, guessed=guessed)


def _needs(ctx: click.Context, paths: tuple[str, ...], namespace: str) -> list[Rights]:
    reading = read(paths)
    if namespace:
        reading.objects = [_placed(obj, namespace) for obj in reading.objects]
    result = check(reading, Setting())
    errors = [f for f in result.findings if f.severity == "error"]
    if errors:
        report.print_text(errors, notes=False)
        ctx.exit(2)
    needs = [rights_of(one) for one in result.checked if one.object.kind != "EventBus"]
    if not needs:
        raise ConfigError(f"reading {' '.join(paths)}: no EventSource, Sensor or Notifier in there")
    return needs


def _placed(obj: Object, namespace: str) -> Object:
    """Return an object as it is in a namespace, unless it names one."""
    metadata = obj.raw.get("metadata") or {}
    if metadata.get("namespace"):
        return obj
    raw = {**obj.raw, "metadata": {**metadata, "namespace": namespace}}
    return replace(obj, namespace=namespace, raw=raw)


async def _answer(
    needs: list[Rights], kubeconfig: str, account: str, *, asks: bool, offline: bool
) -> Any:
    from spine.kube import open_kube

    if offline and not asks:
        return {}, True
    try:
        async with open_kube(kubeconfig) as kube:
            plurals = await _plurals(kube, needs)
            if not asks:
                return plurals, False
            return await _missing(kube, needs, plurals, account)
    except (ConfigError, KubeError) as exc:
        if asks or kubeconfig:
            raise
        click.echo(f"asking no cluster for plurals of kinds: {exc}", err=True)
        return {}, True


async def _plurals(kube: Any, needs: list[Rights]) -> Plurals:
    """Return how kinds are called in the plural, and whether they are in namespaces."""
    found: Plurals = {}
    for right in {right for one in needs for right in one.rights}:
        key = (right.group, right.kind or right.resource)
        version = f"{right.group}/{right.version}" if right.group else right.version
        try:
            if right.kind:
                resource = await kube.discovery.kind(version, right.kind)
            else:
                resource = await kube.discovery.plural(right.group, right.version, right.resource)
        except ConfigError as exc:
            click.echo(f"guessing the plural of {key[1]}: {exc}", err=True)
        else:
            found[key] = resource.plural, resource.namespaced
    return found


async def _missing(
    kube: Any, needs: list[Rights], plurals: Plurals, account: str
) -> tuple[list[str], int]:
    out, asked = [], 0
    for one in needs:
        for right in named(one.rights, plurals):
            asked += 1
            if not await _allowed(kube, right, account):
                where = f"in namespace {right.namespace}" if right.namespace else "in the cluster"
                group = f" of group {right.group}" if right.group else ""
                what = f"{right.plural}{group}" + (f" {right.name}" if right.name else "")
                out.append(f"{one.kind} {one.name}: may not {right.verb} {what} {where}")
    return out, asked


async def _allowed(kube: Any, right: Named, account: str) -> bool:
    kind = "SubjectAccessReview" if account else "SelfSubjectAccessReview"
    resource = await kube.discovery.kind("authorization.k8s.io/v1", kind)
    spec: dict[str, Any] = {
        "resourceAttributes": {
            "namespace": right.namespace,
            "verb": right.verb,
            "group": right.group,
            "resource": right.plural,
            "name": right.name,
        }
    }
    if account:
        space, _, name = account.partition(":")
        spec["user"] = f"system:serviceaccount:{space}:{name}"
        spec["groups"] = ["system:serviceaccounts", f"system:serviceaccounts:{space}"]
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    raw = await kube.create(resource, json.dumps(review).encode())
    return bool(json.loads(raw)["status"]["allowed"])


def _print(needs: list[Rights], plurals: Plurals, *, guessed: bool) -> None:
    first = True
    accounts: set[str] = set()
    for one in needs:
        rights = named(one.rights, plurals)
        if not first:
            click.echo("---")
        first = False
        click.echo(f"# {one.kind} {one.name}")
        if not rights:
            click.echo("# needs no rights in the cluster")
        if rights and not one.account:
            click.echo(f"# set spec.template.serviceAccountName: {one.name}")
        if rights and guessed:
            click.echo("# plurals are guessed: check them with --kubeconfig")
        for note in one.notes:
            click.echo(f"# {note}")
        if rights:
            made = [d for d in documents(one, rights) if str(d) not in accounts]
            accounts |= {str(d) for d in made if d["kind"] == "ServiceAccount"}
            click.echo(yaml.safe_dump_all(made, sort_keys=False).rstrip("\n"))
