"""Reads jq programs: gojq's dialect without modules."""

import json
import re
from dataclasses import replace
from typing import NamedTuple

from spine.lang.jq import nodes as n
from spine.lang.jq.nodes import words

_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<number>(?>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))(?![A-Za-z_])
    |(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<variable>\$[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<format>@[A-Za-z0-9_]+)
    |(?P<sign>\?//|\|=|//=|//|==|!=|<=|>=|\+=|-=|\*=|/=|%=|\.\.|[.\[\]{}()|,:;=<>+\-*/%?"])""",
    re.VERBOSE,
)
_STRING_PIECE = re.compile(r'[^"\\]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_KEYWORDS = words(
    "and as break catch def elif else end foreach if import include label module or "
    "reduce then try __loc__"
)
_UPDATES = frozenset(["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="])
_COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])
_MOST_DIGITS = 400
_NOT_TERMS = frozenset(["as", "catch", "elif", "else", "end", "then", "and", "or"])


class SyntaxFault(Exception):
    """A program that is not jq."""


class Token(NamedTuple):
    """A word of a program."""

    kind: str
    text: str
    end: int


class Program(NamedTuple):
    """A program that was read."""

    tree: n.Node
    calls: frozenset[str]
    """Functions that it calls and does not define, as name/number of arguments."""
    variables: frozenset[str]
    """Names of the variables that it uses."""
    defines: bool
    """Whether it defines functions."""


def parse(text: str) -> Program:
    """Return the program as a tree. Raises SyntaxFault, also when it is nested beyond reason."""
    try:
        parser = _Parser(text)
        tree = parser.pipe()
        if parser.next.kind != "end":
            raise parser.unexpected()
    except RecursionError:
        raise SyntaxFault("it is nested too deeply") from None
    calls = {call for call in parser.calls if call.partition("/")[0] not in parser.defined}
    return Program(tree, frozenset(calls), frozenset(parser.variables), bool(parser.defined))


class _Parser:
    def __init__(self, program: str) -> None:
        self.program = program
        self.next = self._token(0)
        self.calls: set[str] = set()
        self.defined: set[str] = set()
        self.variables: set[str] = set()
        self._in_value = False
        """Whether a value of an object is being read, which takes neither `,` nor `as`."""

    def unexpected(self) -> SyntaxFault:
        what = "end of program" if self.next.kind == "end" else repr(self.next.text)
        return SyntaxFault(f"unexpected {what} at character {self.next.end - len(self.next.text)}")

    # ------------------------------------------------------------------------ words

    def _token(self, at: int) -> Token:
        blank = _BLANK.match(self.program, at)
        at = blank.end() if blank else at
        if at == len(self.program):
            return Token("end", "", at)
        match = _TOKEN.match(self.program, at)
        if match is None:
            raise SyntaxFault(f"unexpected {self.program[at]!r} at character {at}")
        return Token(match.lastgroup or "", match[0], match.end())

    def _advance(self) -> Token:
        token = self.next
        self.next = self._token(token.end)
        return token

    def _is(self, *texts: str) -> bool:
        return self.next.kind in {"sign", "name"} and self.next.text in texts

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self.unexpected()

    # ------------------------------------------------------------------------ operators

    def pipe(self) -> n.Node:
        if self._is("def"):
            return self._definition()
        left = self._comma()
        if self._accept("|"):
            return n.Pipe(left, self.pipe())
        return left

    def _enclosed(self) -> n.Node:
        """Read a pipe in brackets, where commas and `as` have their usual meaning."""
        outer, self._in_value = self._in_value, False
        node = self.pipe()
        self._in_value = outer
        return node

    def _comma(self) -> n.Node:
        left = self._alternative()
        while not self._in_value and self._accept(","):
            left = n.Comma(left, self._alternative())
        return left

    def _alternative(self) -> n.Node:
        left = self._update()
        if self._accept("//"):
            return n.Binary("//", left, self._alternative())
        return left

    def _update(self) -> n.Node:
        left = self._or()
        if self.next.text in _UPDATES and self.next.kind == "sign":
            operator = self._advance().text
            right = self._alternative() if operator == "//=" else self._or_alternative()
            return n.Update(operator, left, right)
        return left

    def _or_alternative(self) -> n.Node:
        left = self._or()
        if self._is("//"):
            self._advance()
            return n.Binary("//", left, self._alternative())
        return left

    def _or(self) -> n.Node:
        left = self._and()
        while self._accept("or"):
            left = n.Binary("or", left, self._and())
        return left

    def _and(self) -> n.Node:
        left = self._comparison()
        while self._accept("and"):
            left = n.Binary("and", left, self._comparison())
        return left

    def _comparison(self) -> n.Node:
        left = self._sum()
        if self.next.text in _COMPARISONS and self.next.kind == "sign":
            operator = self._advance().text
            return n.Binary(operator, left, self._sum())
        return left

    def _sum(self) -> n.Node:
        left = self._product()
        while self._is("+", "-"):
            operator = self._advance().text
            left = n.Binary(operator, left, self._product())
        return left

    def _product(self) -> n.Node:
        left = self._postfix()
        while self._is("*", "/", "%"):
            operator = self._advance().text
            left = n.Binary(operator, left, self._postfix())
        return left

    # ------------------------------------------------------------------------ terms

    def _postfix(self) -> n.Node:
        term = self._signed()
        if self._is("as") and not self._in_value:
            return self._binding(term)
        return term

    def _signed(self) -> n.Node:
        if self._accept("-"):
            return n.Negate(self._signed())
        if self._accept("+"):
            return n.Call("_plus", (self._signed(),))  # of gojq only: a number as it is
        return self._suffixes(self._term())

    def _suffixes(self, term: n.Node) -> n.Node:
        while True:
            if self.next.kind == "field":
                term = n.Index(term, n.Literal(self._advance().text[1:]))
            elif self._is("."):
                self._advance()
                term = self._dotted(term)
            elif self._accept("["):
                term = self._bracket(term)
            elif self._accept("?"):
                term = _optional(term)
            else:
                return term

    def _dotted(self, term: n.Node) -> n.Node:
        if self._is('"'):
            return n.Index(term, self._string(""))
        self._expect("[")
        return self._bracket(term)

    def _bracket(self, term: n.Node) -> n.Node:
        """Read what is behind `[` up to its `]`."""
        if self._accept("]"):
            return n.Iterate(term)
        start = None if self._is(":") else self._enclosed()
        if not self._accept(":"):
            self._expect("]")
            return n.Index(term, start or n.Identity())
        end = None if self._is("]") and start is not None else self._enclosed()
        self._expect("]")
        return n.Slice(term, start, end)

    def _term(self) -> n.Node:  # noqa: C901, PLR0911 -- one branch for each kind of term
        token = self.next
        if token.kind == "number":
            self._advance()
            return n.Literal(number(token.text))
        if token.kind == "field":
            self._advance()
            return n.Index(n.Identity(), n.Literal(token.text[1:]))
        if token.kind == "variable":
            self._advance()
            self.variables.add(token.text[1:])
            return n.Variable(token.text[1:])
        if token.kind == "format":
            self._advance()
            return self._string(token.text[1:]) if self._is('"') else n.Format(token.text[1:])
        if token.kind == "name":
            return self._word()
        if token.text == '"':
            return self._string("")
        self._advance()
        match token.text:
            case ".":
                return n.Index(n.Identity(), self._string("")) if self._is('"') else n.Identity()
            case "..":
                return n.Recurse()
            case "(":
                node = self._enclosed()
                self._expect(")")
                return n.Group(node)
            case "[":
                body = None if self._is("]") else self._enclosed()
                self._expect("]")
                return n.Array(body)
            case "{":
                return self._object()
        raise SyntaxFault(f"unexpected {token.text!r} at character {token.end - len(token.text)}")

    def _word(self) -> n.Node:  # noqa: PLR0911 -- one for each kind of term
        word = self.next.text
        if word in _NOT_TERMS:
            raise self.unexpected()
        self._advance()
        match word:
            case "null" | "true" | "false":
                return n.Literal({"null": None, "true": True, "false": False}[word])
            case "if":
                return self._if()
            case "try":
                body = self._handled()
                handler = self._handled() if self._accept("catch") else None
                return n.Try(body, handler)
            case "reduce" | "foreach":
                return self._fold(word)
            case "label":
                return self._label()
            case "break":
                return n.Break(self._variable())
            case "def" | "import" | "include" | "module" | "__loc__":
                raise SyntaxFault(f"{word} is not possible here")
        return self._call(word)

    def _handled(self) -> n.Node:
        return self._signed()

    def _if(self) -> n.Node:
        test = self._enclosed()
        self._expect("then")
        body = self._enclosed()
        if self._accept("elif"):
            return n.If(test, body, self._if())
        other = self._enclosed() if self._accept("else") else n.Identity()
        self._expect("end")
        return n.If(test, body, other)

    def _call(self, name: str) -> n.Node:
        arguments = []
        if self._accept("("):
            arguments.append(self._enclosed())
            while self._accept(";"):
                arguments.append(self._enclosed())
            self._expect(")")
        self.calls.add(f"{name}/{len(arguments)}")
        return n.Call(name, tuple(arguments))

    # ------------------------------------------------------------------------ strings and objects

    def _string(self, format_name: str) -> n.Node:
        """Read a string; the next token is its opening quote."""
        at, parts = self.next.end, list[str | n.Node]()
        while not self.program.startswith('"', at):
            piece = _STRING_PIECE.match(self.program, at)
            if piece:
                parts.append(piece[0])
                at = piece.end()
            elif self.program.startswith("\\(", at):
                self.next = self._token(at + 2)
                parts.append(self._enclosed())
                if not self._is(")"):
                    raise self.unexpected()
                at = self.next.end
            else:
                raise SyntaxFault(f"unfinished string or unknown escape at character {at}")
        self.next = self._token(at + 1)
        return _text(parts, format_name)

    def _object(self) -> n.Node:
        entries = []
        while not self._accept("}"):
            entries.append(self._entry())
            if not self._is("}"):
                self._expect(",")
        return n.Object(tuple(entries))

    def _entry(self) -> tuple[n.Node, n.Node]:
        token = self.next
        if token.kind == "variable":
            self._advance()
            if self._accept(":"):
                return n.Variable(token.text[1:]), self._value()
            return n.Literal(token.text[1:]), n.Variable(token.text[1:])
        if self._accept("("):
            made = self._enclosed()
            self._expect(")")
            self._expect(":")
            return made, self._value()
        if token.kind == "name" and ":" not in token.text:
            self._advance()
            key: n.Node = n.Literal(token.text)
        elif token.text == '"':
            key = self._string("")
        else:
            raise self.unexpected()
        if self._accept(":"):
            return key, self._value()
        return key, n.Index(n.Identity(), key)

    def _value(self) -> n.Node:
        outer, self._in_value = self._in_value, True
        node = self._alternative()
        if self._accept("|"):
            node = n.Pipe(node, self._value())
        self._in_value = outer
        return node

    # ------------------------------------------------------------------------ bindings

    def _variable(self) -> str:
        if self.next.kind != "variable":
            raise self.unexpected()
        return self._advance().text[1:]

    def _binding(self, source: n.Node) -> n.Node:
        self._expect("as")
        patterns = [self._pattern()]
        while self._accept("?//"):
            patterns.append(self._pattern())
        self._expect("|")
        return n.Bind(source, tuple(patterns), self.pipe())

    def _pattern(self) -> n.Node:
        if self.next.kind == "variable":
            return n.NamePattern(self._variable())
        if self._accept("["):
            elements = [self._pattern()]
            while self._accept(","):
                elements.append(self._pattern())
            self._expect("]")
            return n.ArrayPattern(tuple(elements))
        self._expect("{")
        members = [self._member_pattern()]
        while self._accept(","):
            members.append(self._member_pattern())
        self._expect("}")
        return n.ObjectPattern(tuple(members))

    def _member_pattern(self) -> tuple[n.Node, str | None, n.Node | None]:
        if self.next.kind == "variable":
            name = self._variable()
            return n.Literal(name), name, self._pattern() if self._accept(":") else None
        if self._accept("("):
            key = self._enclosed()
            self._expect(")")
        elif self._is('"'):
            key = self._string("")
        elif self.next.kind == "name":
            key = n.Literal(self._advance().text)
        else:
            raise self.unexpected()
        self._expect(":")
        return key, None, self._pattern()

    def _fold(self, word: str) -> n.Node:
        source = self._handled()
        self._expect("as")
        pattern = self._pattern()
        self._expect("(")
        start = self._enclosed()
        self._expect(";")
        update = self._enclosed()
        extract = self._enclosed() if word == "foreach" and self._accept(";") else n.Identity()
        self._expect(")")
        if word == "reduce":
            return n.Reduce(source, pattern, start, update)
        return n.Foreach(source, pattern, start, update, extract)

    def _label(self) -> n.Node:
        name = self._variable()
        self._expect("|")
        return n.Label(name, self.pipe())

    def _definition(self) -> n.Node:
        self._expect("def")
        if self.next.kind != "name" or self.next.text in _KEYWORDS:
            raise self.unexpected()
        name = self._advance().text
        parameters: list[str] = []
        if self._accept("("):
            while True:
                if self.next.kind not in {"name", "variable"}:
                    raise self.unexpected()
                parameters.append(self._advance().text)
                if self._accept(")"):
                    break
                self._expect(";")
        self._expect(":")
        body = self._enclosed()
        self._expect(";")
        self.defined |= {name, *(parameter.removeprefix("$") for parameter in parameters)}
        return n.Define(name, tuple(parameters), body, self.pipe())


def _optional(term: n.Node) -> n.Node:
    if isinstance(term, n.Index | n.Slice | n.Iterate) and not term.optional:
        return replace(term, optional=True)
    return n.Try(term, None)


def number(text: str) -> int | float:
    """Return a number as written; integers keep all digits."""
    return int(text) if text.isdigit() and len(text) < _MOST_DIGITS else float(text)


def _text(parts: list[str | n.Node], format_name: str) -> n.Node:
    merged: list[str | n.Node] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    plain: list[str | n.Node] = [_unescaped(p) if isinstance(p, str) else p for p in merged]
    if all(isinstance(part, str) for part in plain):
        return n.Literal("".join(part for part in plain if isinstance(part, str)))
    return n.Text(tuple(plain), format_name)


def _unescaped(text: str) -> str:
    quoted = '"' + text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
    plain: str = json.loads(quoted, strict=False)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
