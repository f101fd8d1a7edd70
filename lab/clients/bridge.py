"""Opens a bridge page in Chromium and plays the Telegram app's side of it.

    python bridge.py webview|parent URL [OPENING LENGTH]

As a WebView, the app is an object that is in the page before its scripts; as a parent, it is a page
on 127.0.0.1 that frames the bridge. It opens streams, sends more than its credit on one of them,
and checks that all of it is echoed. Or it says OPENING (in hexadecimal) on one stream and takes so many
bytes of an answer. One JSON object is printed: what the page said, and what came.
"""

import http.server
import json
import pathlib
import sys
import tempfile
import threading

from chromium import Chromium

APP = pathlib.Path(__file__).with_name("bridge_app.js").read_text()
NONCE = "N" * 43


class Parent(http.server.BaseHTTPRequestHandler):
    page = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_):
        pass


def main():
    way, url, *said = sys.argv[1:]
    app = APP
    if said:
        app = f"const OPENING = {json.dumps(said[0])}, ANSWER = {int(said[1])};\n{APP}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Chromium(home)
        try:
            if way == "webview":
                browser.ask("Page.addScriptToEvaluateOnNewDocument", source=app + "\nwebView();")
                wrong = browser.open(f"{url}#android={NONCE}")
            else:
                Parent.page = f"<script>{app}\nparent_of({json.dumps(url)});</script>".encode()
                server = http.server.HTTPServer(("127.0.0.1", 0), Parent)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                wrong = browser.open(f"http://127.0.0.1:{server.server_port}/")
            if wrong:
                raise SystemExit(wrong)
            result = browser.value("result")
            result["address"] = browser.value("location.href")
            print(json.dumps(result))
        finally:
            browser.close()


if __name__ == "__main__":
    main()
