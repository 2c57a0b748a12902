"""The console: what is printed."""

import yaml

from services.console import Console
from services.service import Message


async def test_message_is_printed_as_yaml(env, capsys):
    message = Message(text="Grüße:\nline two", block={"body": "b"}, resolved=True)
    async with Console().open(env) as client:
        receipt = await client.send(message, "stdout", "k")
        await client.send(Message(text="x"), "", "k")
    printed = capsys.readouterr().out
    assert list(yaml.safe_load_all(printed)) == [
        {
            "service": "beep",
            "recipient": "stdout",
            "message": "Grüße:\nline two",
            "block": {"body": "b"},
            "resolved": True,
        },
        {"service": "beep", "message": "x"},
    ]
    assert "Grüße" in printed
    assert receipt.summary == "printed"
