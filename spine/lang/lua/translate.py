"""Lua as gopher-lua reads it, rewritten to what LuaJIT runs with the same meaning.

The two differ where numbers become text (`1e15 .. ""`), in the remainder, in what `#` says of a
table with holes, and in the order of `pairs`. Those places become calls of our own functions,
under names that the program has not; all else stays as it is, on the lines where it was.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from typing_extensions import override

from spine.lang.lua.expressions import Expression, Expressions
from spine.lang.lua.facts import Facts
from spine.lang.lua.lexer import SyntaxFault, tokens

_LONGEST = 256 * 1024
"""Bytes of a program."""
_OURS = "SMLKAV"
"""Functions that translated code calls: joinable, modulo, length, with_keys, assign and the
table `arg`, in the order in which the prelude hands them over."""
_BLOCK_ENDS = frozenset({"end", "else", "elseif", "until", "eof"})


class Translated(NamedTuple):
    """A program in the Lua of LuaJIT."""

    code: str
    """A chunk that takes our functions and returns the program."""
    facts: Facts
    doubt: str
    """Why it is not known to be cheap; empty if it is."""


def translate(
    source: str, longest: int = _LONGEST, offered: frozenset[str] = frozenset()
) -> Translated:
    """Translate a source of bytes, which may call what is offered. Raises SyntaxFault."""
    if len(source) > longest:
        raise SyntaxFault(1, f"the program is longer than {longest} bytes")
    try:
        parser = _Statements(tokens(source))
        code = parser.chunk()
    except RecursionError:
        raise SyntaxFault(1, "the program is nested too deeply") from None
    return Translated(code, parser.facts, parser.facts.verdict(len(source), offered))


class _Statements(Expressions):
    """Translates statements."""

    def chunk(self) -> str:
        body = self._block()
        if self._word.kind != "eof":
            raise self._unexpected()
        ours = ",".join(self._ours(name) for name in _OURS)
        return f"local {ours} = ... return function(...){body} end"

    @override
    def _block(self, names: tuple[str, ...] = ()) -> str:
        self._deeper()
        self._scopes.append(set(names))
        self.facts.assigned.update(names)
        out = self._statements()
        self._scopes.pop()
        self._depth -= 1
        return out

    def _statements(self) -> str:
        out = ""
        while self._word.kind not in _BLOCK_ENDS:
            last = self._word.kind in {"return", "break"}
            out += self._statement()
            while more := self._accept(";"):
                out += more.replace(";", "")
            if last:
                break
        if self._word.kind not in _BLOCK_ENDS:
            raise SyntaxFault(self._word.line, f"{self._word.shown} cannot be reached")
        return out

    def _statement(self) -> str:
        statement = self._translators.get(self._word.kind)
        return self._plain() + ";" if statement is None else statement(self) + " "

    def _nothing(self) -> str:
        return self._take("")

    def _return(self) -> str:
        out = self._take()
        if self._word.kind in _BLOCK_ENDS or self._word.kind == ";":
            return out
        return out + self._expressions()

    def _break(self) -> str:
        if not self._loops[-1]:
            raise SyntaxFault(self._word.line, "break is in no loop")
        return self._take()

    def _goto(self) -> str:
        self.facts.suspect("it has a goto")
        return self._take() + self._label_name()

    def _label(self) -> str:
        return self._take() + self._label_name() + self._expect("::")

    def _label_name(self) -> str:
        return self._take(f"L_{self._name()}")

    def _do(self) -> str:
        return self._take() + self._block() + self._expect("end")

    def _if(self) -> str:
        out = self._take() + self._expression().text + self._expect("then") + self._block()
        while self._word.kind == "elseif":
            out += self._take() + self._expression().text + self._expect("then") + self._block()
        if self._word.kind == "else":
            out += self._take() + self._block()
        return out + self._expect("end")

    def _while(self) -> str:
        out = self._take() + self._expression().text
        return out + self._loop()

    def _loop(self, names: tuple[str, ...] = ()) -> str:
        self.facts.suspect("it has a loop")
        self._loops[-1] += 1
        out = self._expect("do") + self._block(names) + self._expect("end")
        self._loops[-1] -= 1
        return out

    def _repeat(self) -> str:
        self.facts.suspect("it has a loop")
        out = self._take()
        self._loops[-1] += 1
        self._scopes.append(set())
        out += self._statements()  # its names are known after until
        out += self._expect("until") + self._expression().text
        self._scopes.pop()
        self._loops[-1] -= 1
        return out

    def _for(self) -> str:
        out = self._take()
        names = [self._name()]
        out += self._take()
        if self._word.kind == "=":
            out += self._take() + self._expression().text + self._expect(",")
            out += self._expression().text
            if self._word.kind == ",":
                out += self._take() + self._expression().text
            return out + self._loop((names[0],))
        while self._word.kind == ",":
            out += self._take()
            names.append(self._name())
            out += self._take()
        out += self._expect("in") + self._expressions()
        return out + self._loop(tuple(names))

    def _function_statement(self) -> str:
        breaks, line = self._take(""), self._word.line
        target = self._named()
        while self._word.kind == ".":
            target = self._field(target)
        method = self._word.kind == ":"
        if method:
            target = self._field(target)
        return breaks + self._set([target], self._function(line, method=method))

    def _local(self) -> str:
        out = self._take()
        if self._word.kind == "function":
            line = self._word.line
            out += self._take()
            name = self._name()
            out += self._take()
            self._declare(name)
            return out + self._function(line).removeprefix("function")
        names = [self._name()]
        out += self._take()
        while self._word.kind == ",":
            out += self._take()
            names.append(self._name())
            out += self._take()
        if self._word.kind == "=":
            out += self._take() + self._expressions()
        self._declare(*names)
        return out

    def _plain(self) -> str:
        """Translate a call or an assignment."""
        line = self._word.line
        first = self._suffixed()
        if first.kind == "call":
            return first.text
        targets, breaks = [first], ""
        while more := self._accept(","):
            breaks += more.replace(",", "")
            targets.append(self._suffixed())
        for target in targets:
            if target.kind not in {"name", "index"}:
                raise SyntaxFault(line, "it has no effect: neither a call nor an assignment")
        breaks += self._expect("=").replace("=", "")
        return breaks + self._set(targets, *self._listed())

    def _set(self, targets: list[Expression], *values: str) -> str:
        for target in targets:
            if target.path:
                self.facts.assigned.add(target.path[0])
            elif target.kind == "name":
                self.facts.assigned.add(target.value)
        if not self._ordered or all(target.kind == "name" for target in targets):
            return ",".join(target.text for target in targets) + " =" + ",".join(values)
        if len(targets) == len(values) == 1:
            return f" {self._ours('A')}({','.join(targets[0].parts)},({values[0]}))"
        return self._set_several(targets, ",".join(values))

    def _set_several(self, targets: list[Expression], values: str) -> str:
        """Evaluate all, then assign from the right, as Lua does."""
        out, given, steps = " do", [], []
        for target in targets:
            value = self._fresh()
            given.append(value)
            if target.kind == "name":
                steps.append(f"{target.text} = {value};")
                continue
            place, key = self._fresh(), self._fresh()
            out += f" local {place},{key} = {','.join(target.parts)};"
            steps.append(f" {self._ours('A')}({place},{key},{value});")
        return f"{out} local {','.join(given)} ={values}; {''.join(reversed(steps))} end"

    _translators: ClassVar[dict[str, Callable[["_Statements"], str]]] = {
        ";": _nothing,
        "return": _return,
        "break": _break,
        "goto": _goto,
        "::": _label,
        "do": _do,
        "if": _if,
        "while": _while,
        "repeat": _repeat,
        "for": _for,
        "function": _function_statement,
        "local": _local,
    }
