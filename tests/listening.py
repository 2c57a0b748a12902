"""The end of a server of asyncio in a test's own process."""

import asyncio


async def stop_listening(server: asyncio.Server) -> None:
    """Take no more connections; those that were accepted this moment are met by their handlers.

    A server that is closed at once forgets them, and their sockets stay open.
    """
    loop = asyncio.get_running_loop()
    for one in server.sockets:
        loop.remove_reader(one.fileno())
    for _ in range(5):  # so many turns it takes from an accepted socket to its handler
        await asyncio.sleep(0)
    server.close()
