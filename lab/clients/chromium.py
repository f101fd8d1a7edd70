"""Debian's Chromium without a window, told what to do by DevTools."""

import fcntl
import json
import os
import select
import subprocess
import time

PATIENCE = 60


class Chromium:
    def __init__(self, home, *arguments):
        (theirs_in, self.out), (self.into, theirs_out) = os.pipe(), os.pipe()
        # DevTools speaks on descriptors 3 and 4; what is ours now must not be in the way.
        theirs_in, theirs_out = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out))

        def pipes():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self.process = subprocess.Popen(
            [
                "chromium",
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--ignore-certificate-errors",
                "--remote-debugging-pipe",
                f"--user-data-dir={home}",
                *arguments,
            ],
            env=os.environ | {"HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pipes,
            pass_fds=(3, 4),
        )
        self.last, self.buffer, self.session = 0, b"", None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self.ask("Page.enable")

    def send(self, method, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        return self.last

    def receive(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            if not select.select([self.into], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium says nothing")
            read = os.read(self.into, 1 << 16)
            if not read:
                raise EOFError("Chromium has ended")
            self.buffer += read
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **parameters):
        number = self.send(method, **parameters)
        while True:
            message = self.receive()
            if message.get("id") == number:
                return message["result"]
            self.attend(message)

    def attend(self, message):
        """Answers what DevTools asks in between."""

    def open(self, url):
        """Goes to a page; what went wrong, if something did."""
        number, loaded = self.send("Page.navigate", url=url), False
        while not loaded:
            message = self.receive()
            self.attend(message)
            if message.get("id") == number and "errorText" in message["result"]:
                return message["result"]["errorText"]
            loaded = message.get("method") == "Page.loadEventFired"
        return None

    def value(self, expression):
        """What a script gives; a promise is waited for."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    def page(self, url):
        return self.open(url) or self.value("document.documentElement.outerHTML")

    def close(self):
        self.process.kill()
        self.process.wait()
