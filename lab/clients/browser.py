"""Opens pages in a real browser by way of a proxy that wants a user name and a password.

    python browser.py chromium|firefox PROXY URL...

PROXY is http://user:password@host:port, for Firefox socks5://user:password@host:port too. Nobody
types anything: Chromium is told the password by DevTools when it asks for it, Firefox has it from an
extension. One JSON object is printed for each page: {"url": ..., "page": "..."}. Needs the Debian
packages chromium or firefox-esr, and for Firefox the PyPI package marionette_driver 3.7.1.
"""

import fcntl
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

PATIENCE = 60


class Chromium:
    def __init__(self, proxy, home):
        self.proxy = proxy
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
                f"--proxy-server=http://{proxy.hostname}:{proxy.port}",
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
        self.ask("Fetch.enable", handleAuthRequests=True)

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
        request = message.get("params", {}).get("requestId")
        if message.get("method") == "Fetch.requestPaused":
            self.send("Fetch.continueRequest", requestId=request)
        elif message.get("method") == "Fetch.authRequired":
            login = {
                "response": "ProvideCredentials",
                "username": self.proxy.username,
                "password": self.proxy.password,
            }
            self.send("Fetch.continueWithAuth", requestId=request, authChallengeResponse=login)

    def page(self, url):
        number, loaded = self.send("Page.navigate", url=url), False
        while not loaded:
            message = self.receive()
            self.attend(message)
            if message.get("id") == number and "errorText" in message["result"]:
                return message["result"]["errorText"]
            loaded = message.get("method") == "Page.loadEventFired"
        page = self.ask("Runtime.evaluate", expression="document.documentElement.outerHTML")
        return page["result"]["value"]

    def close(self):
        self.process.kill()
        self.process.wait()


EXTENSION = """
const proxy = %s;
browser.proxy.onRequest.addListener(() => proxy, { urls: ["<all_urls>"] });
browser.webRequest.onAuthRequired.addListener(
  (asked) => asked.isProxy
    ? { authCredentials: { username: proxy.username, password: proxy.password } }
    : {},
  { urls: ["<all_urls>"] },
  ["blocking"],
);
"""

MANIFEST = {
    "manifest_version": 2,
    "name": "proxy",
    "version": "1",
    "browser_specific_settings": {"gecko": {"id": "proxy@lab.example"}},
    "permissions": ["proxy", "webRequest", "webRequestBlocking", "<all_urls>"],
    "background": {"scripts": ["background.js"]},
}


class Firefox:
    def __init__(self, proxy, home):
        from marionette_driver.addons import Addons
        from marionette_driver.marionette import Marionette

        profile, extension = os.path.join(home, "profile"), os.path.join(home, "extension")
        os.mkdir(profile)
        os.mkdir(extension)
        with open(os.path.join(profile, "user.js"), "w") as prefs:
            prefs.write('user_pref("network.captive-portal-service.enabled", false);\n')
            prefs.write('user_pref("network.connectivity-service.enabled", false);\n')
        kind = {"http": "http", "socks5": "socks"}[proxy.scheme]
        way = {"type": kind, "host": proxy.hostname, "port": proxy.port}
        way |= {"username": proxy.username, "password": proxy.password}
        if kind == "socks":
            way["proxyDNS"] = True
        with open(os.path.join(extension, "background.js"), "w") as script:
            script.write(EXTENSION % json.dumps(way))
        with open(os.path.join(extension, "manifest.json"), "w") as manifest:
            json.dump(MANIFEST, manifest)
        self.process = subprocess.Popen(
            ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile],
            env=os.environ | {"HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.marionette = Marionette(host="127.0.0.1", port=2828, startup_timeout=PATIENCE)
        self.marionette.raise_for_port(timeout=PATIENCE)
        self.marionette.start_session({"acceptInsecureCerts": True})
        self.marionette.timeout.page_load = PATIENCE
        Addons(self.marionette).install(extension, temp=True)

    def page(self, url):
        self.marionette.navigate(url)
        return self.marionette.page_source

    def close(self):
        self.process.kill()
        self.process.wait()


def main():
    kind, proxy, *urls = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = {"chromium": Chromium, "firefox": Firefox}[kind](urlsplit(proxy), home)
        try:
            for url in urls:
                try:
                    page = browser.page(url)
                except Exception as error:
                    page = f"{type(error).__name__}: {error}"
                print(json.dumps({"url": url, "page": page}), flush=True)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
