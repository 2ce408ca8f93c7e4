"""What programs do with websockets: `websocket_client.py URL`, with the session's secret in HOOP_SECRET."""
import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def main():
    url, head = sys.argv[1], {"Hoop-Session": os.environ["HOOP_SECRET"], "Authorization": "Bearer mine"}
    async with connect(url, additional_headers=head, subprotocols=["chat"], proxy=None, max_size=4 << 20) as socket:
        assert await socket.recv() == "subprotocol chat"
        for message in ["hello", "tr\u00e4ce", b"\x00\xff" * 10, "x" * 1_000_000, ""]:
            await socket.send(message)
            assert await socket.recv() == message
        await (await socket.ping())
        for number in range(500):
            await socket.send(str(number))
        for number in range(500):
            assert await socket.recv() == str(number)
        await socket.send("bye")
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4000, "bye yourself"), closed
    try:
        async with connect(url, proxy=None):
            pass
    except InvalidStatus as refused:
        assert refused.response.status_code == 401, refused
    print("done")


asyncio.run(main())
