"""Asks a datacentre whether it is there, by way of a WEB proxy, with kurigram's own transport.

    python web_ping.py HOST SECRET CERTIFICATE DATACENTRE

Trusts CERTIFICATE alone. Prints "pong". Needs the PyPI package kurigram 2.2.26.
"""

import asyncio
import os
import struct
import sys
import time

from pyrogram.connection.proxy import WebProxy
from pyrogram.connection.transport.tcp.tcp_intermediate_padded import TCPIntermediatePadded

REQ_PQ_MULTI = 0xBE7E8EF1
RES_PQ = 0x05162463


async def main(host, secret, datacentre):
    proxy = WebProxy(hostname=host, secret=bytes.fromhex(secret))
    transport = TCPIntermediatePadded(proxy=proxy, dc_id=int(datacentre))
    await transport.connect(("", 0))
    nonce = os.urandom(16)
    body = struct.pack("<I", REQ_PQ_MULTI) + nonce
    await transport.send(struct.pack("<qqI", 0, int(time.time()) << 32, len(body)) + body)
    answer = await transport.recv()
    if answer is None or answer[20:40] != struct.pack("<I", RES_PQ) + nonce:
        raise SystemExit(f"another answer: {answer}")
    await transport.close()
    print("pong")


if __name__ == "__main__":
    host, secret, certificate, datacentre = sys.argv[1:]
    os.environ["SSL_CERT_FILE"] = certificate
    asyncio.run(main(host, secret, datacentre))
