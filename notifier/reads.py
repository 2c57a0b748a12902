"""What an expression reads: which variables, which members of the object, and whether the clock.

Found without running it, by following where each value comes from: `.type` in
`any(obj.status.conditions, {.type == 'Ready'})` is `status.conditions.*.type` of the object. What
cannot be followed counts as read whole, so a member that is not named is surely not read.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from spine.lang.exprlang import nodes
from spine.lang.exprlang.nodes import Node

Path = tuple[str, ...]
"""Keys from the object down; `*` is any element, or a key that is computed."""
Origins = frozenset[Path]
"""Places that a value may come from; the first key is the name of a variable."""

NOWHERE: Origins = frozenset()
EVERYTHING: Path = ()
ANY = "*"
OTHERS = frozenset(
    (
        *("context", "health", "event", "resolved", "appProject", "messages"),
        *("time", "strings", "repo", "secrets", "serviceType", "recipient"),
    )
)
"""Variables that are not the object; every other one is a name of it."""
_OF_REPO: tuple[Path, ...] = (("metadata",), ("spec",))
"""Members of an Application that the functions of `repo` look at."""


class Reads(NamedTuple):
    """What a program reads."""

    roots: frozenset[str] | None = frozenset()
    """Names of variables; None: it may be any."""
    fields: frozenset[Path] | None = frozenset()
    """Members of the object; None: it may be all. What is above a member and whether it is there
    is read with it."""
    clock: bool = False
    """Whether it asks what time it is."""


NOTHING = Reads()


def together(parts: Iterable[Reads]) -> Reads:
    """Return what several programs read."""
    roots: frozenset[str] | None = frozenset()
    fields: frozenset[Path] | None = frozenset()
    clock = False
    for part in parts:
        roots = None if roots is None or part.roots is None else roots | part.roots
        fields = None if fields is None or part.fields is None else fields | part.fields
        clock = clock or part.clock
    return Reads(roots, None if fields is None else shortest(fields), clock)


def of_paths(paths: Collection[Path], *, clock: bool) -> Reads:
    """Return what is read where whole paths from the variables down are known."""
    if EVERYTHING in paths:
        return Reads(None, None, clock)
    roots = frozenset(path[0] for path in paths)
    of_object = {path[1:] for path in paths if path[0] not in OTHERS}
    if "repo" in roots:
        of_object.update(_OF_REPO)
    fields = None if EVERYTHING in of_object else shortest(of_object)
    return Reads(roots, fields, clock)


def shortest(paths: Iterable[Path]) -> frozenset[Path]:
    """Return paths without those that lie below another one."""
    kept: set[Path] = set()
    for path in sorted(paths, key=len):
        if not any(path[:length] in kept for length in range(len(path))):
            kept.add(path)
    return frozenset(kept)


def down(origins: Origins, key: str) -> Origins:
    """Return where a member of a value comes from."""
    return frozenset((*path, key) for path in origins)


def looked_into(path: Path, paths: Collection[Path]) -> bool:
    """Return whether something below a place is read, so that it is known to be there."""
    return any(len(one) > len(path) and one[: len(path)] == path for one in paths)


def of_expression(tree: Node, variables: Collection[str]) -> Reads:
    """Return what an expression reads; a variable that does not exist has nothing to read."""
    follow = _Follow()
    follow.use(tree)
    found = {path for path in follow.paths if not path or path[0] in variables or path[0] in OTHERS}
    return of_paths(found, clock=follow.clock)


_SAME_LIST = frozenset(["filter", "sortBy"])
_ONE_OF = frozenset(["find", "findLast"])
_ONLY_PLACES = frozenset(["any", "all", "none", "one", "count", "findIndex", "findLastIndex"])
_LISTS = frozenset(["take", "reverse", "concat", "sort", "uniq"])
_ELEMENT = frozenset(["first", "last"])


class _Follow:
    """Follows the values of one expression."""

    def __init__(self) -> None:
        self.paths: set[Path] = set()
        self.clock = False
        self._variables: dict[str, Origins] = {}
        self._elements: list[Origins] = []

    def use(self, node: Node) -> None:
        """Note that all of a value is read."""
        self.paths |= self.origins(node)

    def origins(self, node: Node) -> Origins:
        """Return where a value comes from; what is read on the way is noted."""
        follow = getattr(self, f"_{type(node).__name__.lower()}", None)
        if follow is not None:
            found: Origins = follow(node)
            return found
        for part in nodes.parts(node):
            self.use(part)
        return NOWHERE

    def _name(self, node: nodes.Name) -> Origins:
        if node.name in self._variables:
            return self._variables[node.name]
        return frozenset([EVERYTHING if node.name == "$env" else (node.name,)])

    def _pointer(self, node: nodes.Pointer) -> Origins:
        return self._elements[-1] if not node.name and self._elements else NOWHERE

    def _member(self, node: nodes.Member) -> Origins:
        base = self.origins(node.base)
        if isinstance(node.key, nodes.Const) and isinstance(node.key.value, str):
            return down(base, node.key.value)
        self.use(node.key)
        if EVERYTHING in base:
            self.paths.add(EVERYTHING)
        return down(base, ANY)

    def _slice(self, node: nodes.Slice) -> Origins:
        for bound in (node.start, node.stop):
            if bound is not None:
                self.use(bound)
        return self.origins(node.base)

    def _chain(self, node: nodes.Chain) -> Origins:
        return self.origins(node.inner)

    def _call(self, node: nodes.Call) -> Origins:
        callee = node.callee
        if isinstance(callee, nodes.Member):
            base, key = callee.base, callee.key
            now = isinstance(key, nodes.Const) and key.value == "Now"
            if now and isinstance(base, nodes.Name) and base.name == "time":
                self.clock = True
            self.use(base)
        for arg in node.args:
            self.use(arg)
        return NOWHERE

    def _builtin(self, node: nodes.Builtin) -> Origins:
        name, args = node.name, node.args
        if name == "now":
            self.clock = True
        if name == "get" and len(args) > 1:
            return self._member(nodes.Member(node.at, args[0], args[1]))
        if name in _LISTS or name in _ELEMENT:
            found = NOWHERE.union(*map(self.origins, args))
            return down(found, ANY) if name in _ELEMENT else found
        for arg in args:
            self.use(arg)
        return NOWHERE

    def _predicate(self, node: nodes.Predicate) -> Origins:
        items = self.origins(node.items)
        self._elements.append(down(items, ANY))
        for part in (node.body, node.more):
            if part is not None:
                self.use(part)
        self._elements.pop()
        if node.name in _SAME_LIST:
            return items
        if node.name in _ONE_OF:
            return down(items, ANY)
        known = node.name in _ONLY_PLACES or (node.name == "map" and node.body is not None)
        for path in items:
            if not known or not looked_into(path, self.paths):
                self.paths.add(path)
        return NOWHERE

    def _binary(self, node: nodes.Binary) -> Origins:
        if node.operator == "??":
            return self.origins(node.left) | self.origins(node.right)
        self.use(node.left)
        self.use(node.right)
        return NOWHERE

    def _conditional(self, node: nodes.Conditional) -> Origins:
        self.use(node.test)
        return self.origins(node.then) | self.origins(node.other)

    def _let(self, node: nodes.Let) -> Origins:
        self._variables[node.name] = self.origins(node.value)
        found = self.origins(node.body)
        del self._variables[node.name]
        return found

    def _sequence(self, node: nodes.Sequence) -> Origins:
        *steps, last = node.steps
        for step in steps:
            self.use(step)
        return self.origins(last)
