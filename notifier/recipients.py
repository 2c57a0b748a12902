"""Recipients: who exactly is told, found for each object.

A recipient may be a template, `{{ .obj.metadata.annotations.owner }}`; `user:alice` is looked up in
the directory for the service, and `group:NAME` stands for all in a group. A template may give
several, with commas or semicolons between them.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from notifier.config.configuration import GROUP, Configuration, Destination
from notifier.reads import Reads
from notifier.template_reads import of_template
from spine.errors import ConfigError
from spine.lang import EvaluationError, gotemplate

MOST = 1000
"""Recipients that one subscription stands for at most."""
_USER, _GROUP = "user:", f"{GROUP}:"
_NO_VALUE = "<no value>"
_BETWEEN = re.compile(r"[,;\n]")


class Recipient:
    """A recipient as it is written."""

    def __init__(self, text: str, template: gotemplate.Template | None, reads: Reads) -> None:
        self.text = text
        self.reads = reads
        """What its template reads."""
        self._template = template

    def render(self, variables: Mapping[str, Any]) -> list[str]:
        """Return the recipients for an object, each once; none where its template gives nothing.

        What is no template is returned as it is, also where it is empty: some services need no
        recipient. Raises EvaluationError.
        """
        if self._template is None:
            return [self.text]
        try:
            made = self._template.render(variables)
        except EvaluationError as exc:
            raise EvaluationError(f"rendering recipient {self.text!r}: {exc}") from exc
        found = (one.replace(_NO_VALUE, "").strip() for one in _BETWEEN.split(made))
        return list(dict.fromkeys(one for one in found if one))


@lru_cache(4096)
def compile_recipient(text: str) -> Recipient:
    """Compile a recipient. Raises ConfigError."""
    if "{{" not in text:
        return Recipient(text, None, Reads())
    try:
        template, reads = gotemplate.compile(text), of_template(gotemplate.parse(text))
    except ConfigError as exc:
        raise ConfigError(f"compiling recipient {text!r}: {exc.message}", hint=exc.hint) from exc
    if reads.roots is not None and "secrets" in reads.roots:
        raise ConfigError(f"compiling recipient {text!r}: secrets cannot be read here")
    return Recipient(text, template, reads)


def resolve(
    destination: Destination, variables: Mapping[str, Any], configuration: Configuration
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return service and recipient of everybody that a destination stands for, each once.

    Beside them is why somebody is missing: a group or a user that nobody knows, a template that
    fails or gives nobody.
    """
    found = _Resolving(variables, configuration)
    found.add(destination, ())
    return list(found.places), found.problems


class _Resolving:
    """One destination on its way to people."""

    def __init__(self, variables: Mapping[str, Any], configuration: Configuration) -> None:
        self.places: dict[tuple[str, str], None] = {}
        self.problems: list[str] = []
        self._variables, self._configuration = variables, configuration

    def add(self, destination: Destination, within: tuple[str, ...]) -> None:
        """Add all that a destination stands for; `within` are the groups that it is a member of."""
        service, text = destination
        try:
            names = compile_recipient(text).render(self._variables)
        except (ConfigError, EvaluationError) as exc:
            self.problems.append(str(exc))
            return
        if not names:
            self.problems.append(f"rendering recipient {text!r}: it gives nobody")
        for name in names:
            if service == GROUP or name.startswith(_GROUP):
                self._group(name.removeprefix(_GROUP), within)
            elif name.startswith(_USER):
                self._user(service, name.removeprefix(_USER))
            else:
                self._place(service, name)

    def _place(self, service: str, recipient: str) -> None:
        if len(self.places) < MOST:
            self.places[service, recipient] = None
        else:
            text = f"telling {service!r}: no more than {MOST} recipients of one subscription"
            self.problems[:] = [*dict.fromkeys([*self.problems, text])]

    def _group(self, name: str, within: tuple[str, ...]) -> None:
        groups = self._configuration.groups
        if name in within:
            self.problems.append(f"telling group {name!r}: it is in itself")
        elif name not in groups:
            self.problems.append(f"telling group {name!r}: there is none{_meant(name, groups)}")
        else:
            for member in groups[name]:
                self.add(member, (*within, name))

    def _user(self, service: str, user: str) -> None:
        address, why = self._looked_up(service, user)
        if address:
            self._place(service, address)
        else:
            self.problems.append(f"telling user {user!r}: {why}")

    def _looked_up(self, service: str, user: str) -> tuple[str, str]:
        """Return the recipient of a user, or an empty text and why there is none."""
        directory = self._configuration.directory
        found = directory.get(user)
        if found is None:
            return "", f"they are not in the directory{_meant(user, directory)}"
        if isinstance(found, str):
            return found, "the directory says nothing of them"
        model = self._configuration.services.get(service)
        address = found.get(service) or found.get("" if model is None else model.kind)
        return address or "", f"the directory has no recipient of theirs for {service!r}"


def _meant(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
