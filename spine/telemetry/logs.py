"""Logs on stdout: lines for people, or JSON with the keys of Argo Events' logs."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from typing_extensions import override

from spine import output

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVELS = {"warning": "warn", "critical": "fatal"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _PLAIN}


class JsonLines(logging.Formatter):
    """One JSON object a line, with the keys of Argo Events' logs."""

    def __init__(self, context: Mapping[str, str]) -> None:
        super().__init__()
        self._context = dict(context)

    @override
    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        line: dict[str, Any] = {
            "level": _LEVELS.get(level, level),
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": f"tocsin.{record.name}",
            "msg": record.getMessage(),
            **self._context,
            **_extra(record),
        }
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except (TypeError, ValueError):  # a lone surrogate or an integer of more than 64 bits
            return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Time, level, message and fields, for a person at a terminal."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = "".join(f"  {k}={_field(v)}" for k, v in _extra(record).items())
        text = f"{clock} {level}{record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _field(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(str(v) for v in value)
    return str(value)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; that nobody reads them any more is no error of logging."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        if not (isinstance(sys.exception(), BrokenPipeError) and output.lose()):
            super().handleError(record)


LEVELS = ("debug", "info", "warn", "error")


def configure_logging(fmt: str, level: str = "info", **context: str) -> None:
    """Send all logs to stdout as `text` or `json`; `context` stands in every JSON line.

    An unknown level is taken as info, as Argo Events does.
    """
    handler = _Lines(sys.stdout)
    handler.setFormatter(JsonLines(context) if fmt == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": "WARNING"}.get(level, level.upper()) if level in LEVELS else "INFO")
    for chatty in ("nats", "asyncio", "uvicorn", "aiohttp", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
