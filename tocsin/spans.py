"""How far back in time, as options say it: a Go duration, or days as in `7d`."""

from spine.errors import ConfigError


def span(text: str) -> float:
    """Return the seconds of `10m`, `1h30m` or `7d`. Raises ConfigError, also below 0."""
    from spine.runtime import seconds

    days = text.removesuffix("d")
    try:
        found = seconds(f"{int(days) * 24}h" if text.endswith("d") and days.isdecimal() else text)
    except ConfigError as exc:
        raise ConfigError(exc.message, hint="write 90s, 10m, 1h30m or 7d") from exc
    if found < 0:
        raise ConfigError(f"reading duration {text!r}: below 0", hint="write 90s, 10m, 1h30m or 7d")
    return found
