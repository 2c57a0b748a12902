"""What HTTP senders are told: the texts that Argo Events has, with the statuses that fit.

Answers are made once, as the messages that the server sends, and as the bytes of them.
"""

from http import HTTPStatus

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Answer:
    """Status and text of a response."""

    __slots__ = ("body", "closing", "content", "head", "start", "status", "status_line", "text")

    def __init__(self, status: int, text: str = "", **headers: str) -> None:
        body = text.encode()
        lines = [_TEXT, (b"content-length", b"%d" % len(body))]
        lines += [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
        self.status, self.text = status, text
        self.start = {"type": "http.response.start", "status": status, "headers": lines}
        self.body = {"type": "http.response.body", "body": body}
        self.status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        self.head = b"".join(b"%b: %b\r\n" % line for line in lines)
        self.content = body
        self.closing = {**self.start, "headers": [*lines, (b"connection", b"close")]}


SUCCESS = Answer(200, "success")
HEALTHY = Answer(200, "OK")
NOT_FOUND = Answer(404, "404 page not found\n")
BUSY = Answer(503, "too many requests are waiting\n", retry_after="1")
STARTING = Answer(503, "the event source is starting or stopping\n", retry_after="1")
BROKEN = Answer(500, "internal error\n")
NO_TOKEN = Answer(500, "Error loading auth token\n")
NO_BEARER = Answer(401, "Invalid Authorization Header\n", www_authenticate="Bearer")
WRONG_TOKEN = Answer(401, "Invalid Auth token\n", www_authenticate="Bearer")
BAD_LENGTH = Answer(400, "bad Content-Length\n")
