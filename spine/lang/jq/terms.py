"""Reads what stands between the operators of a jq program: paths, strings, objects, folds, calls.

A term may hold a whole program in brackets, so that terms and operators read each other.
"""

import json
import re
from abc import ABC, abstractmethod
from dataclasses import replace

from spine.lang.jq import nodes as n
from spine.lang.jq.lexer import SyntaxFault, Words

_STRING_PIECE = re.compile(r'[^"\\]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NOT_TERMS = frozenset(["as", "catch", "elif", "else", "end", "then", "and", "or"])
_MOST_DIGITS = 400


class Terms(Words, ABC):
    """Reads terms; what combines them is left to whoever inherits this."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.calls: set[str] = set()
        self.variables: set[str] = set()
        self._in_value = False
        """Whether a value of an object is being read, which takes neither `,` nor `as`."""

    @abstractmethod
    def pipe(self) -> n.Node:
        """Read a whole program."""

    @abstractmethod
    def _alternative(self) -> n.Node:
        """Read what neither a comma nor a pipe divides."""

    def _enclosed(self) -> n.Node:
        """Read a pipe in brackets, where commas and `as` have their usual meaning."""
        outer, self._in_value = self._in_value, False
        node = self.pipe()
        self._in_value = outer
        return node

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
        raise self.unexpected(token)

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
                raise self._broken_string(at)
        self.next = self._token(at + 1)
        return _text(parts, format_name)

    def _broken_string(self, at: int) -> SyntaxFault:
        if at >= len(self.program):
            return SyntaxFault("unexpected end: a text is not closed with a quote", at)
        letter = self.program[at : at + 2]
        return SyntaxFault(f"{letter} is no escape in a text", at, "write \\\\ for a backslash")

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

    # ------------------------------------------------------------------------ names

    def _variable(self) -> str:
        if self.next.kind != "variable":
            raise self.unexpected()
        return self._advance().text[1:]

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
