"""Uses an HTTPS proxy as somebody does who was given the addresses of its PAC file and of the page at
which a browser asks for the password.

    python https_proxy.py PLAN

PLAN is a JSON object: "browser" (chromium or firefox), "http2", "pac", "log_in", "user", "password",
"authority" (a PEM file that vouches for the proxy), "relay" (host and port), "renewal" (pairs of files:
a new one, and the one that it replaces), "urls". The pages are opened before the log-in, after it, and
after the renewal. One JSON object is printed for each: {"step", "url", "page"}. Nobody types anything:
Chromium is told the password by DevTools when it asks for it, in Firefox the prompt is filled in.
"""

import json
import os
import pathlib
import ssl
import sys
import tempfile
import time
from types import SimpleNamespace

import browser
import chromium
from chromium import PATIENCE


class Chromium(browser.Chromium):
    def __init__(self, plan, home):
        self.asked = 0
        versions = [] if plan["http2"] else ["--disable-http2"]
        chromium.Chromium.__init__(self, home, f"--proxy-pac-url={plan['pac']}", *versions)
        self.proxy = SimpleNamespace(username=plan["user"], password=plan["password"])
        self.ask("Fetch.enable", handleAuthRequests=True)

    def attend(self, message):
        self.asked += message.get("method") == "Fetch.authRequired"
        super().attend(message)

    def log_in(self, url):
        page, end = self.page(url), time.monotonic() + PATIENCE
        state = "document.readyState == 'complete' && location.href"
        # It may try https:// first, and come back.
        while (not page or self.value(state) != url) and time.monotonic() < end:
            time.sleep(0.2)
            page = self.value("document.documentElement?.outerHTML")
        return page or ""


TRUST = """
const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
database.addCertFromBase64(arguments[0], "C,,");
"""

OPEN = """
const triggeringPrincipal = Services.scriptSecurityManager.getSystemPrincipal();
gBrowser.selectedBrowser.fixupAndLoadURIString(arguments[0], { triggeringPrincipal });
"""

# Where the page is, once it is all there. Asked of the window: a page that is just being replaced by
# the next one answers questions of its own with an error.
SHOWN = """
const { webProgress, currentURI } = gBrowser.selectedBrowser;
return !webProgress.isLoadingDocument && currentURI.spec;
"""

# Fills in every prompt for a password, as soon as its button can be pressed.
FILL_IN = """
window.asked = 0;
const [name, secret] = arguments;
const visit = (document) => {
  const [user, password] = ["loginTextbox", "password1Textbox"].map((id) => document.getElementById(id));
  const dialog = document.getElementById("commonDialog");
  if (user && dialog && !dialog.getButton("accept").disabled) {
    [user.value, password.value] = [name, secret];
    dialog.acceptDialog();
    window.asked += 1;
  }
  for (const frame of document.querySelectorAll("browser, iframe")) {
    if (frame.contentDocument) visit(frame.contentDocument);
  }
};
window.setInterval(() => [...Services.wm.getEnumerator(null)].forEach((one) => visit(one.document)), 200);
"""


class Firefox(browser.Firefox):
    def __init__(self, plan, home):
        prefs = {
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
            "network.http.http2.enabled": plan["http2"],
            "network.http.spdy.enabled.http2": plan["http2"],
        }
        self.start(home, prefs, "--remote-allow-system-access")
        lines = pathlib.Path(plan["authority"]).read_text().splitlines()
        self.chrome(TRUST, "".join(line for line in lines if not line.startswith("-----")))
        pac = 'Services.prefs.setStringPref("network.proxy.autoconfig_url", arguments[0]);'
        self.chrome(pac + 'Services.prefs.setIntPref("network.proxy.type", 2);', plan["pac"])

        self.chrome(FILL_IN, plan["user"], plan["password"])

    @property
    def asked(self):
        return self.chrome("return window.asked")

    def chrome(self, script, *arguments):
        with self.marionette.using_context("chrome"):
            return self.marionette.execute_script(script, script_args=list(arguments), sandbox="system")

    def log_in(self, url):
        from marionette_driver.errors import UnexpectedAlertOpen

        self.chrome(OPEN, url)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            time.sleep(0.2)
            try:
                if self.chrome(SHOWN) == url:
                    break
            except UnexpectedAlertOpen:
                pass
        return self.marionette.page_source


def renew(plan):
    """Puts the new files in place, and waits until the relay shows what is in them."""
    relay = tuple(plan["relay"])
    before, end = ssl.get_server_certificate(relay), time.monotonic() + PATIENCE
    for new, old in plan["renewal"]:
        os.replace(new, old)
    while ssl.get_server_certificate(relay) == before:
        if time.monotonic() > end:
            raise TimeoutError("the relay still shows the old certificate")
        time.sleep(0.5)


def main():
    plan = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        one = {"chromium": Chromium, "firefox": Firefox}[plan["browser"]](plan, home)

        def tell(step, url, page):
            print(json.dumps({"step": step, "url": url, "page": page}), flush=True)

        def visit(step):
            for url in plan["urls"]:
                try:
                    tell(step, url, one.page(url))
                except Exception as error:
                    tell(step, url, f"{type(error).__name__}: {error}")

        try:
            visit("before")
            tell("asked before", "", str(one.asked))
            tell("log-in", plan["log_in"], one.log_in(plan["log_in"]))
            asked = one.asked
            visit("after")
            renew(plan)
            visit("renewed")
            tell("asked after", "", str(one.asked - asked))
        finally:
            one.close()


if __name__ == "__main__":
    main()
