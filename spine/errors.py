"""The errors of the framework, named by who must act.

Fault                      ours; any other exception is a bug: in handling one event it dead-letters
│                          that event with its traceback, anywhere else it stops the process
├── ConfigError            the user must change a file: never retried       -> exit code 2
├── EventError             this event can never pass: dead letter, counted
│   ├── FilterError  TransformError  ParameterError
└── RemoteError            the outside world failed: retried with back-off
    ├── BusError  SourceError  TriggerError  KubeError

Text: what was being done, with the value: why (what to do). Never a secret.
"""

from typing import ClassVar

from typing_extensions import override


class Fault(Exception):
    """The base class of our errors.

    `message` says what is wrong, with the value that is wrong; `hint` says what to do about
    it. `code` is stable: the label of metrics and the reason of status conditions.
    """

    code: ClassVar[str] = "Fault"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @override
    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(Fault):
    """A manifest or an option is wrong and stays wrong until someone edits it."""

    code = "InvalidConfig"


class EventError(Fault):
    """An event that no retry can save."""

    code = "UnusableEvent"


class FilterError(EventError):
    """A filter could not be evaluated on this event."""

    code = "FilterFailed"


class TransformError(EventError):
    """A transform did not turn the event into an object."""

    code = "TransformFailed"


class ParameterError(EventError):
    """A parameter could not be taken from the events or put into its destination."""

    code = "ParameterFailed"


class RemoteError(Fault):
    """Something outside the process failed and may work later.

    `retry_after` is the number of seconds after which the other side asked to be tried again.
    """

    code = "RemoteFailed"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class BusError(RemoteError):
    """The event bus did not take, or did not give, a message."""

    code = "BusFailed"


class ConflictError(BusError):
    """A key of a store was changed by somebody else since it was read."""

    code = "BusConflict"


class SourceError(RemoteError):
    """What an event source listens to failed."""

    code = "SourceFailed"


class TriggerError(RemoteError):
    """The target of a trigger refused or did not answer.

    `permanent` says that the target understood and refused: another try gives the same answer.
    """

    code = "TriggerFailed"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        permanent: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.permanent = permanent


class KubeError(RemoteError):
    """The Kubernetes API refused a request or did not answer.

    `status` is the HTTP status, 0 where there was no answer; `reason` the API's own word for it,
    such as `NotFound`, `AlreadyExists`, `Conflict`, `Forbidden` or `Expired`.
    """

    code = "KubeFailed"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        status: int = 0,
        reason: str = "",
    ) -> None:
        super().__init__(message, hint=hint, retry_after=retry_after)
        self.status, self.reason = status, reason

    @property
    def permanent(self) -> bool:
        """Whether the API understood and refused: the same request gets the same answer."""
        return self.status in _REFUSED


_REFUSED = frozenset({400, 401, 403, 404, 405, 406, 409, 413, 415, 422})
