"""The functions of sprig, by area.

What reaches into the host, makes keys, or costs seconds on purpose is left out by name, with the
reason. Lists and texts that a function makes are bounded.
"""

from collections.abc import Mapping

from spine.lang.gotemplate.functions import Function
from spine.lang.gotemplate.sprig import (
    cases,
    chance,
    chats,
    dates,
    defaults,
    encodings,
    lists,
    maps,
    numbers,
    patterns,
    places,
    semver,
    words,
)

_AREAS = (
    *(words, cases, patterns, numbers, lists, maps),
    *(defaults, dates, encodings, places, chance, semver, chats),
)

_SHALLOW = frozenset(
    (
        *("append", "push", "prepend", "chunk", "compact", "first", "initial", "last", "rest"),
        *("reverse", "slice", "concat", "list", "tuple", "dict", "get", "set", "unset", "hasKey"),
        *("pluck", "keys", "values", "pick", "omit", "dig", "default", "empty", "coalesce"),
        *("ternary", "all", "any", "typeOf", "typeIs", "typeIsLike", "kindOf", "kindIs"),
    )
)
"""Functions that look at one level of a list or a map, however much is in it."""


def _is_deep(name: str) -> bool:
    return name not in _SHALLOW and name.removeprefix("must").lower() not in _SHALLOW


FUNCTIONS: Mapping[str, Function] = {
    **{
        name: Function(name, kinds, call, deep=_is_deep(name))
        for area in _AREAS
        for name, kinds, call in area.ALL
    },
    **{
        name: Function(name, kinds, call, mutates=True, deep=_is_deep(name))
        for name, kinds, call in maps.CHANGING
    },
}
"""Name -> function; each is a callable of Python values that raises EvaluationError."""

_HOST = "left out: a template does not see the host"
_KEYS = "left out: keys and password hashes do not belong into messages; use a Secret"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("env", "expandenv", "getHostByName"), _HOST),
    **dict.fromkeys(
        (
            *("bcrypt", "htpasswd", "derivePassword", "encryptAES", "decryptAES"),
            *("buildCustomCert", "genPrivateKey", "genCA", "genCAWithKey"),
            *("genSelfSignedCert", "genSelfSignedCertWithKey"),
            *("genSignedCert", "genSignedCertWithKey"),
        ),
        _KEYS,
    ),
    "md5sum": "sprig has no md5sum: use sha256sum",
    "toYaml": "toYaml is a function of Helm: use toJson",
    "fromYaml": "fromYaml is a function of Helm: use fromJson",
    "lookup": "lookup is a function of Helm",
    "include": 'include is a function of Helm: use {{ template "…" . }}',
    "tpl": "tpl is a function of Helm",
}
"""Name -> reason why a function is left out."""
