"""Expressions of Lua, rewritten where LuaJIT would give another value than gopher-lua."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from spine.lang.lua.lexer import SyntaxFault, quoted
from spine.lang.lua.numbers import literal, read
from spine.lang.lua.reader import Reader

_BINARY = {
    "or": (1, 1),
    "and": (2, 2),
    **dict.fromkeys(("<", ">", "<=", ">=", "~=", "=="), (3, 3)),
    "..": (5, 5),
    **dict.fromkeys("+-", (6, 6)),
    **dict.fromkeys("*/%", (7, 7)),
    "^": (10, 9),
}
"""How strongly operators bind to the left and to the right. `..` binds to the right, too, which
is left to LuaJIT: a chain of texts is not nested here."""
_UNARY = 8
_CONSTANTS = frozenset({"nil", "true", "false"})
_PAIRS = 40
"""Fields of a constructor that are set by one call."""


class Expression(NamedTuple):
    """A translated expression."""

    text: str
    kind: str = ""
    """`name`, `index`, `call`, `many` (`...`), `string`, `number`, `joined` or empty."""
    value: str = ""
    """The text of a string, the number in a number."""
    path: tuple[str, ...] = ()
    """Global and fields, such as `("string", "rep")`, where it is nothing but these."""
    parts: tuple[str, str] = ("", "")
    """Object and key of an index."""


class Expressions(Reader, ABC):
    """Translates expressions."""

    @abstractmethod
    def _block(self, names: tuple[str, ...] = ()) -> str:
        """Translate statements up to the end of their block, in which `names` are local."""

    def _expressions(self) -> str:
        return ",".join(self._listed())

    def _listed(self) -> list[str]:
        """Translate expressions with commas between them."""
        out = [self._expression().text]
        while comma := self._accept(","):
            out.append(comma.replace(",", "") + self._expression().text)
        return out

    def _expression(self, limit: int = 0) -> Expression:
        self._deeper()
        left = self._operand()
        while (word := self._word.kind) in _BINARY and _BINARY[word][0] > limit:
            operator = self._take()
            right = self._expression(_BINARY[word][1])
            left = self._joined(left, word, operator, right)
        self._depth -= 1
        return left

    def _operand(self) -> Expression:
        word = self._word.kind
        if word not in {"not", "-", "#"}:
            simple = self._simple()
            self._mention(simple)
            return simple
        operator = self._take()
        operand = self._expression(_UNARY)
        if word == "#":
            return Expression(f"{operator.replace('#', self._ours('L'))}({operand.text})")
        if word == "-":
            return Expression(f"{operator}{_number(operand)}")
        return Expression(operator + operand.text)

    def _joined(self, left: Expression, word: str, operator: str, right: Expression) -> Expression:
        if word == "..":
            self.facts.growth += 1
            return Expression(f"{self._text(left)}{operator}{self._text(right)}", "joined")
        if word == "%":
            breaks = operator[: operator.rindex(" ")]
            return Expression(f" {self._ours('M')}({_number(left)},{breaks}{_number(right)})")
        if word in {"+", "-", "*", "/", "^"}:
            return Expression(f"{_number(left)}{operator}{_number(right)}")
        return Expression(left.text + operator + right.text)

    def _text(self, operand: Expression) -> str:
        """Return an operand of `..` with its numbers as gopher-lua spells them."""
        if operand.kind in {"string", "joined"}:
            return operand.text
        return f" {self._ours('S')}({operand.text})"

    def _simple(self) -> Expression:
        word = self._word
        if word.kind == "string":
            return Expression(self._take(quoted(word.value)), "string", word.value)
        if word.kind == "number":
            return Expression(self._take(literal(word.value)), "number", word.value)
        if word.kind == "...":
            return self._many()
        if word.kind == "{":
            return Expression(self._table())
        if word.kind == "function":
            return Expression(self._take("") + self._function(word.line))
        return self._suffixed() if word.kind not in _CONSTANTS else Expression(self._take())

    def _many(self) -> Expression:
        if not self._varargs[-1]:
            raise SyntaxFault(self._word.line, "'...' is not in a function that takes it")
        self._used[-1].add("...")
        return Expression(self._take(), "many")

    def _mention(self, expression: Expression) -> None:
        if expression.path:
            self.facts.mentioned(expression.path)

    def _named(self) -> Expression:
        name = self._name()
        if any(name in scope for scope in self._scopes):
            return Expression(self._take(), "name", name)
        self.facts.globals.add(name)
        self._used[-1].add(name)
        return Expression(self._take(), "name", name, (name,))

    def _suffixed(self) -> Expression:
        if self._word.kind == "(":
            out = self._take()
            inner = self._expression()
            found = Expression(f"{out}{inner.text}{self._expect(')')}", "paren")
        elif self._word.kind == "name":
            found = self._named()
        else:
            raise self._unexpected()
        while (word := self._word.kind) in {".", "[", ":", "(", "{", "string"}:
            if word == ".":
                found = self._field(found)
            elif word == "[":
                found = self._indexed(found)
            elif word == ":":
                found = self._method(found)
            else:
                found = self._call(found)
        return found

    def _field(self, place: Expression) -> Expression:
        """Translate `.name`, or the `:name` of a function's name."""
        out = self._take(".")
        name = self._name()
        path = (*place.path, name) if place.path else ()
        parts = (place.text, quoted(name))
        return Expression(place.text + out + self._take(), "index", path=path, parts=parts)

    def _indexed(self, place: Expression) -> Expression:
        self._mention(place)
        out = self._take()
        key = self._expression()
        text = f"{place.text}{out}{key.text}{self._expect(']')}"
        return Expression(text, "index", parts=(place.text, key.text))

    def _method(self, place: Expression) -> Expression:
        self._mention(place)
        out = self._take()
        name = self._name()
        out += self._take()
        given, literals = self._arguments()
        self.facts.method(name, literals)
        return Expression(place.text + out + given, "call")

    def _call(self, function: Expression) -> Expression:
        line = self._word.line
        given, literals = self._arguments()
        if function.path:
            self.facts.called(function.path, literals, line)
        else:
            self.facts.suspect("it calls what it has computed")
        return Expression(function.text + given, "call")

    def _arguments(self) -> tuple[str, list[str | None]]:
        """Return arguments in parentheses, and the texts among them."""
        word = self._word
        if word.kind == "string":
            return f"({self._take(quoted(word.value))})", [word.value]
        if word.kind == "{":
            return f"({self._table()})", [None]
        if word.kind != "(":
            raise SyntaxFault(word.line, f"expecting arguments, not {word.shown}")
        out = "(" + self._take("")  # on its line it could begin a statement
        found: list[str | None] = []
        while self._word.kind != ")":
            if found:
                out += self._expect(",")
            argument = self._expression()
            found.append(argument.value if argument.kind == "string" else None)
            out += argument.text
        return out + self._take(), found

    def _function(self, line: int, *, method: bool = False) -> str:
        self.facts.suspect("it has a function of its own")
        out = "function" + self._expect("(")
        names = ["self"] if method else []
        many = False
        if method:
            out += "self" if self._word.kind == ")" else "self,"
        while self._word.kind != ")":
            if self._word.kind == "...":
                out += self._take()
                many = True
                break
            names.append(self._name())
            out += self._take()
            if self._word.kind != ")":
                out += self._expect(",")
                if self._word.kind == ")":
                    raise SyntaxFault(line, "a parameter is missing")
        out += self._expect(")")
        self._varargs.append(many)
        self._loops.append(0)
        self._used.append(set())
        body = self._block(tuple(names))
        used = self._used.pop()
        if many and "arg" in used and "..." not in used:
            body = f" local arg = {self._ours('V')}(...);{body}"
        self._varargs.pop()
        self._loops.pop()
        return out + body + self._expect("end")

    def _table(self) -> str:
        self._deeper()
        opening = self._take()
        listed: list[str] = []
        native: list[str] = []
        keyed: list[str] = []
        while self._word.kind != "}":
            key, value = self._table_field()
            if key:
                native.append(f"[{key} ] ={value}")
                keyed.append(f"{key},({value})")
            else:
                listed.append(value)
            if self._word.kind not in {",", ";"}:
                break
            opening += self._take("")
        closing = self._expect("}")
        self._depth -= 1
        if not self._ordered and not (listed and keyed):
            return f"{opening}{','.join(native or listed)}{closing}"
        text = f"{opening}{','.join(listed)}{closing}"
        for start in range(0, len(keyed), _PAIRS):
            text = f" {self._ours('K')}({text},{','.join(keyed[start : start + _PAIRS])})"
        return text

    def _table_field(self) -> tuple[str, str]:
        """Return the key of a field, empty where it has none, and its value."""
        word = self._word
        if word.kind == "name" and self._words[self._at + 1].kind == "=":
            key = self._take(quoted(word.value))
        elif word.kind == "[":
            key = self._take("") + self._expression().text
            key += self._expect("]").replace("]", "")
        else:
            return "", self._expression().text
        equals = self._expect("=").replace("=", "")
        return key, equals + self._expression().text


def _number(operand: Expression) -> str:
    """Return an operand of arithmetic; a text in the source becomes the number that it is."""
    if operand.kind == "string":
        value = read(operand.value)
        if value is not None:
            return f" ({literal(repr(value))})"
        return f"({operand.text})"
    return operand.text
