"""What can be subscribed to (MQTT 3.1.1, section 4.7; shared ones: MQTT 5, section 4.8.2)."""

SHARED = "$share/"
_LONGEST = 65_535


def is_shared(topic: str) -> bool:
    """Whether the broker divides the messages of a topic among all who name the same share."""
    return topic.startswith(SHARED)


def wrong_topic(topic: str) -> str:
    """Return why a topic cannot be subscribed to; empty when it can."""
    if is_shared(topic):
        share, _, topic = topic.removeprefix(SHARED).partition("/")
        if not share or set(share) & set("+#"):
            return "a shared topic is $share/NAME/TOPIC"
    if not topic or "\x00" in topic:
        return "it is empty" if not topic else "it has a null character"
    if len(topic.encode(errors="surrogatepass")) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    levels = topic.split("/")
    if any("+" in level and level != "+" for level in levels):
        return "+ stands for a whole level, as in sensors/+/temperature"
    if any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]:
        return "# stands for all that follows, at the end, as in sensors/#"
    return ""
