"""A WebSocket server that echoes: prints its port and serves until its standard input ends."""
import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(socket):
    head = socket.request.headers
    assert "Hoop-Session" not in head and "mine" not in head.get("Authorization", ""), head
    assert "Sec-WebSocket-Extensions" not in head, head
    await socket.send("subprotocol " + str(socket.subprotocol))
    async for message in socket:
        if message == "bye":
            return await socket.close(4000, "bye yourself")
        await socket.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=4 << 20) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
