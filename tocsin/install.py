"""`tocsin install`: print all that runs Tocsin in a cluster, without Helm."""

import sys
from typing import Any

import click

from spine.errors import ConfigError


@click.command("install")
@click.option("-n", "--namespace", default="tocsin", show_default=True, help="Where it runs.")
@click.option("--name", default="tocsin", show_default=True, help="What all names begin with.")
@click.option("-f", "--values", "files", multiple=True, metavar="FILE", help="Values; - is stdin.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="One value, as in Helm.")
@click.option(
    "--set-string", "strings", multiple=True, metavar="KEY=VALUE", help="One value that is a text."
)
@click.option("--image", default="", metavar="REPOSITORY[:TAG][@DIGEST]", help="Image of all pods.")
@click.option("--no-webhook", is_flag=True, help="Without the webhook that refuses wrong objects.")
@click.option("--no-crds", is_flag=True, help="Without CustomResourceDefinitions.")
@click.option("--no-namespace", is_flag=True, help="Without the namespace itself.")
@click.option("--show-values", is_flag=True, help="Print all values that can be set, and stop.")
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    namespace: str,
    name: str,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    strings: tuple[str, ...],
    image: str,
    no_webhook: bool,
    no_crds: bool,
    no_namespace: bool,
    show_values: bool,
) -> None:
    """Print what the Helm chart installs, with the same values, for `kubectl apply`.

    Asks no cluster. To upgrade, apply it again with the new version.

    \b
    Examples:
      tocsin install | kubectl apply -f -
      tocsin install --image registry.example.com/tocsin:0.1.0 | kubectl apply -f -
      tocsin install --set 'namespaces={shop,billing}' --set controller.replicas=1
      tocsin install -f values.yaml --no-webhook > tocsin.yaml
      tocsin install --no-crds --no-namespace | kubectl delete -f -   # after all EventBuses
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.installing.chart import Chart, Release
    from tocsin.installing.given import checked, gathered, image_values, merged

    chart = Chart.ours()
    if show_values:
        click.echo(chart.text("values.yaml"), nl=False)
        return
    _check_names(name, namespace)
    given, places = gathered(files, sets, strings)
    if image:
        given = merged(given, {"image": {"tag": "", "digest": "", **image_values(image)}})
    if no_webhook:
        given = merged(given, {"webhook": {"enabled": False}})
    if no_crds:
        given = merged(given, {"crds": {"install": False}})
    values, release = checked(merged(chart.values, given), places), Release(name, namespace)
    texts = [one.text for one in chart.render(values, release)]
    if not no_namespace:
        texts.insert(0, _namespace(namespace))
    click.echo("---\n".join(texts), nl=False)
    if sys.stderr.isatty():  # whoever pipes it into kubectl
        click.echo(chart.notes(values, release), err=True)


def _namespace(name: str) -> str:
    from tocsin.installing.chart import to_yaml

    made: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return to_yaml(made) + "\n"


def _check_names(name: str, namespace: str) -> None:
    """Raise ConfigError for a name that no object can have."""
    import re

    for option, value in (("--name", name), ("--namespace", namespace)):
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?", value):
            raise ConfigError(
                f"reading {option} {value!r}: names have small letters, digits and -, at most 53"
            )
