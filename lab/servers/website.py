"""A small website, for a relay to hide behind.

    python website.py ADDRESS PORT [CERTIFICATE KEY]

With the two files the site speaks HTTPS, without them HTTP. One line is printed when it listens, and
then the path of every request.
"""

import http.server
import socket
import ssl
import sys

PAGE = b"<!doctype html><title>Apple orchards of Almaty</title><p>Open from May to October."


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "nginx", ""

    def do_GET(self):
        print(self.path, flush=True)
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class Site(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, *_):
        """Those who hang up or speak no TLS are no concern of a website."""


def main():
    address, port, *certificate = sys.argv[1:]
    Site.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    site = Site((address, int(port)), Page)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # The handshake is left to each visitor's own thread.
        site.socket = context.wrap_socket(
            site.socket, server_side=True, do_handshake_on_connect=False
        )
    print("listening", flush=True)
    site.serve_forever()


if __name__ == "__main__":
    main()
