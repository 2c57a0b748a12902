"""The configurations and the object that the command line means, read from files or a cluster."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import orjson

from notifier.config.shaping import near
from notifier.current import Current, compile_current
from notifier.notifiers import Annotated, implied, is_configuration, secret_of
from notifier.reading import Texts
from notifier.spec import NotifierSpec, Watch
from spine.errors import ConfigError, KubeError
from spine.kube import Kube, open_kube
from spine.manifest import OURS
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets
from tocsin.notifying.found import Found
from tocsin.notifying.sources import EMPTY, Cluster, Files, Given, Source, missing
from tocsin.notifying.sources import secret_of as given_secret
from tocsin.notifying.subject import Change, Subject, in_cluster, in_file, is_file

_NOBODY = [Watch(api_version="v1", kind="Pod")]
"""What a configuration is said to watch of which nobody knows what it watches."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line says of configuration and cluster."""

    files: tuple[str, ...] = ()
    config_map: str = ""
    secret: str = ""
    notifier: str = ""
    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""
    change: Change = "MODIFIED"

    @property
    def offline(self) -> bool:
        """Whether the configuration is in files."""
        return bool(self.files) or is_file(self.config_map)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a command works on."""

    found: list[Found]
    subject: Subject | None
    shared: Shared
    """Where clients of services are opened."""


@asynccontextmanager
async def inputs(choice: Choice, target: str = "") -> AsyncIterator[Inputs]:
    """Yield configurations and the object; raise ConfigError where there are none, KubeError."""
    _require_one(choice)
    if target and not is_file(target) and "/" not in target:
        raise ConfigError(
            f"reading object {target!r}: there is no such file",
            hint="give a file, - for standard input, or KIND/NAME of the cluster",
        )
    async with AsyncExitStack() as stack:
        kube = None
        if not choice.offline or (target and not is_file(target)) or _names(choice.secret):
            kube = await _opened(choice, stack)
        subject = await _subject(choice, target, kube) if target else None
        shared = await stack.enter_async_context(Shared())
        finding = _Finding(choice, subject, shared, kube)
        found = await finding.all()
        if choice.notifier and choice.files:
            found = _called(found, choice.notifier)
        yield Inputs(found, subject, shared)


def _names(secret: str) -> bool:
    """Return whether a Secret is named that the cluster has."""
    return bool(secret) and secret != EMPTY and not is_file(secret)


def _require_one(choice: Choice) -> None:
    if choice.config_map and (choice.files or choice.notifier):
        raise ConfigError(
            "choosing a configuration: --config-map stands alone",
            hint="give -f PATH with all manifests, or --config-map with --secret",
        )


async def _opened(choice: Choice, stack: AsyncExitStack) -> Kube:
    try:
        return await stack.enter_async_context(open_kube(choice.kubeconfig, choice.context))
    except ConfigError as exc:
        hint = "without a cluster: -f PATH for the configuration, a file for the object"
        raise ConfigError(exc.message, hint=f"{exc.hint}; {hint}" if exc.hint else hint) from exc


async def _subject(choice: Choice, target: str, kube: Kube | None) -> Subject:
    if is_file(target):
        return in_file(target, choice.namespace, choice.change)
    assert kube is not None, "opened for names"
    return await in_cluster(kube, target, choice.namespace, choice.change)


def _called(found: list[Found], name: str) -> list[Found]:
    chosen = [one for one in found if one.name == name.rpartition("/")[2]]
    if not chosen:
        names = [one.name for one in found]
        meant = near(name, names) or f" (there is {', '.join(names)})"
        raise ConfigError(f"choosing Notifier {name!r}: there is none{meant}")
    return chosen


@dataclass(frozen=True, slots=True)
class _Finding:
    """Finds the configurations of one command."""

    choice: Choice
    subject: Subject | None
    shared: Shared
    kube: Kube | None

    async def all(self) -> list[Found]:
        """Return all configurations that are meant, at least one."""
        if self.choice.offline:
            return await self._of_files()
        return await (self._named() if self.choice.config_map else self._of_cluster())

    # ------------------------------------------------------------------------ files

    async def _of_files(self) -> list[Found]:
        choice = self.choice
        paths = list(choice.files) or [choice.config_map]
        files = Files.of(paths)
        source: Source = files
        if choice.secret:
            source = Given(files, await given_secret(choice.secret, choice.namespace, self.kube))
        found: list[Found] = []
        for checked in files.result.of("Notifier"):
            space = checked.object.namespace
            if checked.spec is None:
                raise ConfigError(f"reading {checked.object}: see tocsin notify validate")
            if checked.spec.config_map in files.names("ConfigMap", space):
                found += await self._made(checked.object.name, checked.spec, space, source)
        for one in files.reading.of("ConfigMap"):
            data = await files.data("ConfigMap", one.namespace, one.name) or {}
            known = {(entry.spec.config_map, entry.namespace) for entry in found}
            alone = bool(choice.config_map) and len(files.reading.of("ConfigMap")) == 1
            shared = {entry.spec.config_map for entry in found if entry.spec.self_service}
            new = (one.name, one.namespace) not in known and one.name not in shared
            if new and (alone or is_configuration(one.name, data)):
                secret = secret_of(one.name, files.names("Secret", one.namespace))
                spec = self._guessed(one.name, secret)
                found += await self._made(one.name, spec, one.namespace, source, guessed=True)
        if not found:
            raise ConfigError(
                f"reading {' '.join(paths)}: no configuration of notifications in there",
                hint="it is a ConfigMap with trigger.NAME and template.NAME or service.TYPE",
            )
        return found

    def _guessed(self, config_map: str, secret: str) -> NotifierSpec:
        """Return a Notifier for a configuration that does not tell what it is about."""
        watches = _NOBODY
        if self.subject is not None:
            watches = [Watch(api_version=self.subject.api_version, kind=self.subject.kind)]
        return NotifierSpec(watches=watches, config_map=config_map, secret=secret)

    # ------------------------------------------------------------------------ cluster

    async def _named(self) -> list[Found]:
        """Return the configuration of a ConfigMap of the cluster."""
        choice, kube = self.choice, self.kube
        assert kube is not None, "opened for names"
        given, _, name = choice.config_map.rpartition("/")
        space = given or choice.namespace or kube.namespace
        cluster = Cluster(kube)
        data = await cluster.data("ConfigMap", space, name)
        if data is None:
            raise missing("ConfigMap", name, space)
        source: Source = cluster
        if choice.secret:
            source = Given(cluster, await given_secret(choice.secret, space, kube))
        try:
            spec, guessed = implied(name, data, self._annotated()), False
        except ConfigError:
            spec, guessed = self._guessed(name, secret_of(name, ())), True
        return await self._made(name, spec, space, source, guessed=guessed)

    def _annotated(self) -> Iterable[Annotated]:
        if self.subject is not None:
            annotations = self.subject.seen.meta.annotations or {}
            yield Annotated(self.subject.api_version, self.subject.kind, annotations)

    async def _of_cluster(self) -> list[Found]:
        """Return the configurations of the cluster's Notifiers, or of the one that is named."""
        assert self.kube is not None, "opened for names"
        cluster = Cluster(self.kube)
        found: list[Found] = []
        for raw in await self._notifiers(self.kube):
            meta = raw["metadata"]
            spec = load(NotifierSpec, raw["spec"], what=f"Notifier {meta['name']}", lenient=True)
            found += await self._made(meta["name"], spec, meta["namespace"], cluster)
        if not found:
            raise ConfigError(
                "looking for Notifiers: the cluster has none",
                hint="give --config-map NS/NAME, or -f PATH with manifests",
            )
        return found

    async def _notifiers(self, kube: Kube) -> list[dict[str, dict[str, str]]]:
        try:
            kind = await kube.discovery.kind(f"{OURS}/v1alpha1", "Notifier")
        except (ConfigError, KubeError) as exc:
            raise ConfigError(
                f"looking for Notifiers: {exc.message}",
                hint="give --config-map NS/NAME, or -f PATH with manifests",
            ) from exc
        space, _, name = self.choice.notifier.rpartition("/")
        if name:
            raw = await kube.get(kind, name, space or self.choice.namespace or kube.namespace)
            return [orjson.loads(raw)]
        try:
            listed = await kube.page(kind)
        except KubeError as exc:
            if exc.status != 403:  # noqa: PLR2004 -- Forbidden
                raise
            listed = await kube.page(kind, self.choice.namespace or kube.namespace)
        return [orjson.loads(bytes(one)) for one in listed.items]

    # ------------------------------------------------------------------------ both

    async def _made(
        self, name: str, spec: NotifierSpec, space: str, source: Source, *, guessed: bool = False
    ) -> list[Found]:
        """Return a configuration, compiled, and that of the object's namespace beside it."""
        main = self._compiled(name, spec, space, await _texts(spec, space, source), guessed=guessed)
        own = self.subject.seen.meta.namespace if self.subject and spec.self_service else ""
        if not own or own == space:
            return [main]
        texts = await _texts(spec, own, source)
        if not texts.config:
            return [main]
        texts = texts._replace(health={}, missing=())
        return [main, self._compiled(name, spec, space, texts, place=own)]

    def _compiled(
        self,
        name: str,
        spec: NotifierSpec,
        space: str,
        texts: Texts,
        *,
        guessed: bool = False,
        place: str = "",
    ) -> Found:
        def env(service: str) -> Env:
            return Env(
                object=name,
                name=service,
                namespace=place or space,
                secrets=GivenSecrets(),
                shared=self.shared,
            )

        current = compile_current(spec, space, texts, env, place=place)
        if texts.secret is None:
            current = _with_any_secret(current)
        return Found(name, spec, current, env, space, guessed, texts.missing, place)


_SECRET = re.compile(r"\.secrets\.([A-Za-z0-9_]+)")


def _with_any_secret(current: Current) -> Current:
    """Return a configuration whose templates find every key that they read, with nothing in it."""
    keys = {key for text in current.texts.config.values() for key in _SECRET.findall(text)}
    configuration = replace(current.configuration, secrets=dict.fromkeys(keys, ""))
    plans = {
        number: replace(plan, configuration=configuration) for number, plan in current.plans.items()
    }
    return replace(current, configuration=configuration, plans=plans)


async def _texts(spec: NotifierSpec, space: str, source: Source) -> Texts:
    config = await source.data("ConfigMap", space, spec.config_map)
    secret = await source.data("Secret", space, spec.secret)
    health = config
    if spec.health_config_map and spec.health_config_map != spec.config_map:
        health = await source.data("ConfigMap", space, spec.health_config_map)
    absent = []
    if config is None:
        absent.append(f"there is no ConfigMap {spec.config_map!r} in namespace {space!r}")
    if secret is None:
        absent.append(f"there is no Secret {spec.secret!r} at hand: its values are not checked")
    return Texts(config or {}, secret, health or {}, tuple(absent))
