"""What kinds of values functions of the language and methods of values take, and what they give."""

from spine.lang.exprlang import nodes
from spine.lang.exprlang.builtins import Signature
from spine.lang.exprlang.kinds import Method
from spine.lang.exprlang.nodes import UNKNOWN, Kind, SyntaxFault


def applied(signature: Signature, node: nodes.Builtin, kinds: list[Kind]) -> Kind:
    """Return the kind that a function of the language gives. Raises SyntaxFault."""
    most = signature.most
    if len(kinds) < signature.least:
        raise SyntaxFault(f"{node.name} needs {_arguments(signature.least)}", node.at)
    if most is not None and len(kinds) > most:
        raise SyntaxFault(f"{node.name} takes {_arguments(most)}, not {len(kinds)}", node.at)
    for at, kind in enumerate(kinds):
        if kind is UNKNOWN and signature.careless:
            break
        wanted = signature.wants(at)
        if wanted is not None and kind.name not in wanted and kind is not UNKNOWN:
            raise SyntaxFault(f"{node.name} does not take {kind}", node.args[at].at)
    given = signature.gives
    return given(kinds) if callable(given) else given


def method(method: Method, kinds: list[Kind], node: nodes.Call) -> Kind:
    """Return the kind that a method gives. Raises SyntaxFault."""
    if len(kinds) != len(method.takes):
        wanted = len(method.takes)
        raise SyntaxFault(f"it takes {_arguments(wanted)}, not {len(kinds)}", node.at)
    for kind, wanted_kind, arg in zip(kinds, method.takes, node.args, strict=True):
        if kind is not UNKNOWN and kind != wanted_kind:
            raise SyntaxFault(f"it takes {wanted_kind}, not {kind}", arg.at)
    return method.gives


def _arguments(number: int) -> str:
    return "1 argument" if number == 1 else f"{number} arguments"
