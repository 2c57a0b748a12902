"""What a template reads, found as for expressions: by following where values come from.

A value that a function gets counts as read whole, but for those that only hand on what they get.
"""

from notifier.reads import (
    ANY,
    EVERYTHING,
    NOWHERE,
    Origins,
    Path,
    Reads,
    down,
    looked_into,
    of_paths,
)
from spine.lang.gotemplate.tree import (
    Action,
    Body,
    Branch,
    Call,
    Chain,
    Dot,
    Field,
    Literal,
    Name,
    Node,
    Number,
    Operand,
    Pipe,
    Range,
    Tree,
    Variable,
)

_DEEPEST = 8
"""Templates within templates that are followed; beyond, everything counts as read."""
_HANDED_ON = frozenset(("default", "coalesce", "ternary", "and", "or"))
_ELEMENT = frozenset(("first", "last", "mustFirst", "mustLast"))
_CLOCK = frozenset(("now", "ago", "date", "htmlDate", "dateInZone"))


def of_template(tree: Tree) -> Reads:
    """Return what a template reads of its variables."""
    follow = _Follow(tree)
    follow.body(tree.main, frozenset([EVERYTHING]))
    return of_paths(follow.paths, clock=follow.clock)


class _Follow:
    """Follows the values of one template."""

    def __init__(self, tree: Tree) -> None:
        self.paths: set[Path] = set()
        self.clock = False
        self._tree, self._depth = tree, 0
        self._slots: list[Origins] = []

    def body(self, body: Body, root: Origins) -> None:
        """Follow a template whose data come from somewhere."""
        before, self._slots = self._slots, [root] + [NOWHERE] * body.slots
        for _ in range(2):  # a loop may use what is put into a variable further down
            self._nodes(body.nodes, root)
        self._slots = before

    def _nodes(self, parts: tuple[Node, ...], dot: Origins) -> None:
        for node in parts:
            match node:
                case Action(pipe=pipe):
                    found = self._pipe(pipe, dot)
                    if not pipe.slots:
                        self.paths |= found
                case Branch():
                    found = self._pipe(node.pipe, dot)
                    self.paths |= found
                    self._nodes(node.body, found if node.moves else dot)
                    self._nodes(node.other, dot)
                case Range():
                    self._range(node, dot)
                case Call():
                    self._call(node, dot)

    def _range(self, node: Range, dot: Origins) -> None:
        items = self._piped(node.pipe, dot)
        element = down(items, ANY)
        if EVERYTHING in items:
            self.paths.add(EVERYTHING)
        if node.pipe.slots:
            self._slots[node.pipe.slots[-1]] |= element
        self._nodes(node.body, element)
        for path in items:
            if not looked_into(path, self.paths):
                self.paths.add(path)
        self._nodes(node.other, dot)

    def _call(self, node: Call, dot: Origins) -> None:
        given = NOWHERE if node.pipe is None else self._pipe(node.pipe, dot)
        body = self._tree.defined.get(node.name)
        if body is None or self._depth >= _DEEPEST:
            self.paths |= given
            return
        self._depth += 1
        self.body(body, given)
        self._depth -= 1

    # ------------------------------------------------------------------------ values

    def _pipe(self, pipe: Pipe, dot: Origins) -> Origins:
        found = self._piped(pipe, dot)
        for slot in pipe.slots:
            self._slots[slot] |= found
        return found

    def _piped(self, pipe: Pipe, dot: Origins) -> Origins:
        """Follow a pipeline without regard to its variables."""
        found: Origins | None = None
        for command in pipe.commands:
            found = self._command(command, dot, found)
        return found or NOWHERE

    def _command(self, command: tuple[Operand, ...], dot: Origins, last: Origins | None) -> Origins:
        head, *rest = command
        if isinstance(head, Name):
            return self._function(head.name, rest, dot, last)
        base = self._value(head, dot)
        if rest or last is not None:
            self.paths |= base.union(last or NOWHERE, *(self._value(one, dot) for one in rest))
            return NOWHERE
        return base

    def _function(
        self, name: str, args: list[Operand], dot: Origins, last: Origins | None
    ) -> Origins:
        given = [self._value(one, dot) for one in args]
        if last is not None:
            given.append(last)
        self.clock = self.clock or name in _CLOCK or ("time", "Now") in NOWHERE.union(*given)
        if name == "index" and given and len(args) == len(given):
            return self._index(given, args)
        if name in _HANDED_ON:
            return NOWHERE.union(*given)
        if name in _ELEMENT:
            return NOWHERE.union(*(down(one, ANY) for one in given))
        self.paths |= NOWHERE.union(*given)
        return NOWHERE

    def _index(self, given: list[Origins], args: list[Operand]) -> Origins:
        """Follow `index x "key" 0`."""
        found = given[0]
        for key, arg in zip(given[1:], args[1:], strict=True):
            self.paths |= key
            plain = isinstance(arg, Literal) and isinstance(arg.value, str)
            if not plain and not isinstance(arg, Number) and EVERYTHING in found:
                self.paths.add(EVERYTHING)
            found = down(found, str(arg.value) if isinstance(arg, Literal) and plain else ANY)
        return found

    def _value(self, node: Operand, dot: Origins) -> Origins:
        match node:
            case Dot():
                return dot
            case Field(names=names):
                return _below(dot, names)
            case Variable(slot=slot, names=names):
                return _below(self._slots[slot], names)
            case Chain(node=inner, names=names):
                return _below(self._value(inner, dot), names)
        if isinstance(node, Pipe):
            return self._pipe(node, dot)
        return self._function(node.name, [], dot, None) if isinstance(node, Name) else NOWHERE


def _below(origins: Origins, names: tuple[str, ...]) -> Origins:
    for name in names:
        origins = down(origins, name)
    return origins
