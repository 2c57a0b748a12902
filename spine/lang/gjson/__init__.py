"""gjson paths: `body.commits.#(author=="ann")#.id`, the path language of filters and parameters.

    path = gjson.compile("body.user.name")
    result = path.get(gjson.Document(b'{"body": {"user": {"name": "ann"}}}'))
    result.text  # "ann"; result is None where nothing is at the path

Components are separated by `.` or `|`: keys with the wildcards `*` and `?`, indices, `#` (the
number of elements, or something of each), queries `#(path op value)`, modifiers `@name:argument`,
literals `!value`, multipaths `[a,b]` and `{"x":a}`. A leading `..` reads lines of JSON.

Texts come out as they went in: large numbers keep their digits, objects their order and space.
"""

from spine.lang.gjson.document import Document, Kind, Result
from spine.lang.gjson.path import Path, compile  # noqa: A004 -- as re.compile

__all__ = ["Document", "Kind", "Path", "Result", "compile"]
