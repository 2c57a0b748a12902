"""Which of two versions of an object is the later one."""


def newer(version: str, known: str) -> bool:
    """Return whether a resourceVersion comes after another; they are numbers in every server."""
    if version.isdecimal() and known.isdecimal():
        return int(version) > int(known)
    return version != known


def older(version: str, known: str) -> bool:
    """Return whether a resourceVersion comes before another."""
    return version != known and bool(known) and newer(known, version)
