"""Opens Telegram proxy links in TDLib, the library inside Telegram's own apps, and pings through them.

    python tdlib_ping.py LINK...

Each link is read by TDLib itself, as if it had been tapped. One JSON object is printed for each, in
the same order: {"link": ..., "seconds": 0.01} or {"link": ..., "error": "..."}. Needs the PyPI
package tdjson 1.8.69, and neither an account nor a way to Telegram.
"""

import json
import sys
import tempfile
import time

import tdjson

# Longer than TDLib itself waits for a ping.
PATIENCE = 30


class Tdlib:
    def __init__(self, directory):
        execute({"@type": "setLogVerbosityLevel", "new_verbosity_level": 0})
        self.client = tdjson.td_create_client_id()
        self.ask(
            {
                "@type": "setTdlibParameters",
                "database_directory": directory,
                "files_directory": directory,
                # Any will do as long as nobody logs in.
                "api_id": 1,
                "api_hash": "00000000000000000000000000000000",
                "system_language_code": "en",
                "device_model": "lab",
                "application_version": "1",
            }
        )

    def ask(self, request):
        """TDLib's answer to a request; a TimeoutError when it gives none."""
        extra = time.monotonic_ns()
        tdjson.td_send(self.client, json.dumps(request | {"@extra": extra}).encode())
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            received = tdjson.td_receive(end - time.monotonic())
            answer = json.loads(received) if received else {}
            if answer.get("@extra") == extra:
                return answer
        raise TimeoutError(f"TDLib gave no answer in {PATIENCE} s")

    def ping(self, link):
        """Seconds from the first byte to Telegram's answer, or the reason why there is none."""
        tapped = self.ask({"@type": "getInternalLinkType", "link": link})
        proxy = tapped.get("proxy")
        if proxy is None:
            return {"error": f"TDLib takes this for no proxy link: {tapped}"}
        answer = self.ask({"@type": "pingProxy", "proxy": proxy})
        if answer["@type"] == "error":
            return {"error": answer["message"]}
        return {"seconds": answer["seconds"]}


    def close(self):
        """Lets TDLib finish; Python must not end before its threads have."""
        tdjson.td_send(self.client, json.dumps({"@type": "close"}).encode())
        end = time.monotonic() + 5
        while time.monotonic() < end:
            received = tdjson.td_receive(1)
            if received and b"authorizationStateClosed" in received:
                return


def execute(request):
    tdjson.td_execute(json.dumps(request).encode())


def main():
    with tempfile.TemporaryDirectory() as directory:
        tdlib = Tdlib(directory)
        for link in sys.argv[1:]:
            started = time.monotonic()
            try:
                outcome = tdlib.ping(link)
            except TimeoutError as error:
                outcome = {"error": str(error)}
            outcome["took"] = time.monotonic() - started
            print(json.dumps({"link": link, **outcome}), flush=True)
        tdlib.close()


if __name__ == "__main__":
    main()
