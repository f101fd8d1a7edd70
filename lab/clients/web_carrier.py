"""Echoes bytes over a WEB proxy with kurigram's carrier, which was written by others and needs no
browser.

    python web_carrier.py HOST SECRET PORT

Speaks to 127.0.0.1:PORT without TLS, which the lab's server does not have. Prints "all came back".
Needs the PyPI package kurigram 2.2.26.
"""

import asyncio
import sys

from pyrogram.connection.transport.tcp import web_proxy_carrier
from pyrogram.connection.transport.tcp.web_proxy_carrier import WebProxyCarrier

LENGTH = 6 << 20  # more than the credit of a stream


async def connect_plainly(self):
    if self._writer is None or self._writer.is_closing():
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", PORT)


async def main(host, secret):
    web_proxy_carrier._HttpConnection._ensure_connected = connect_plainly
    carrier = WebProxyCarrier(host, secret=bytes.fromhex(secret))
    await carrier.start()
    bytes_ = bytes(i * 31 + (i >> 8) & 255 for i in range(LENGTH))
    sending = asyncio.create_task(carrier.send(bytes_))
    for at in range(0, LENGTH, 1 << 16):
        if await carrier.recv(1 << 16) != bytes_[at : at + (1 << 16)]:
            raise SystemExit(f"something else came back after {at} bytes")
    await sending
    await carrier.close()
    print("all came back")


if __name__ == "__main__":
    PORT = int(sys.argv[3])
    asyncio.run(main(*sys.argv[1:3]))
