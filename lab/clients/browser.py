"""Opens pages in a real browser by way of a proxy that wants a user name and a password.

    python browser.py chromium|firefox PROXY URL...

PROXY is http://user:password@host:port, for Firefox socks5://user:password@host:port too. Nobody
types anything: Chromium is told the password by DevTools when it asks for it, Firefox has it from an
extension. One JSON object is printed for each page: {"url": ..., "page": "..."}. Needs the Debian
packages chromium or firefox-esr, and for Firefox the PyPI package marionette_driver 3.7.1.
"""

import json
import os
import subprocess
import sys
import tempfile
from urllib.parse import urlsplit

import chromium
from chromium import PATIENCE


class Chromium(chromium.Chromium):
    def __init__(self, proxy, home):
        super().__init__(home, f"--proxy-server=http://{proxy.hostname}:{proxy.port}")
        self.proxy = proxy
        self.ask("Fetch.enable", handleAuthRequests=True)

    def attend(self, message):
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

        extension = os.path.join(home, "extension")
        os.mkdir(extension)
        kind = {"http": "http", "socks5": "socks"}[proxy.scheme]
        way = {"type": kind, "host": proxy.hostname, "port": proxy.port}
        way |= {"username": proxy.username, "password": proxy.password}
        if kind == "socks":
            way["proxyDNS"] = True
        with open(os.path.join(extension, "background.js"), "w") as script:
            script.write(EXTENSION % json.dumps(way))
        with open(os.path.join(extension, "manifest.json"), "w") as manifest:
            json.dump(MANIFEST, manifest)
        prefs = {
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
        }
        self.start(home, prefs)
        Addons(self.marionette).install(extension, temp=True)

    def start(self, home, prefs, *arguments):
        from marionette_driver.marionette import Marionette

        profile = os.path.join(home, "profile")
        os.mkdir(profile)
        with open(os.path.join(profile, "user.js"), "w") as file:
            for name, value in prefs.items():
                file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=os.environ | {"HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.marionette = Marionette(host="127.0.0.1", port=2828, startup_timeout=PATIENCE)
        self.marionette.raise_for_port(timeout=PATIENCE)
        self.marionette.start_session({"acceptInsecureCerts": True, "unhandledPromptBehavior": "ignore"})
        self.marionette.timeout.page_load = PATIENCE

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
