"""Uses the page for setting up apps as somebody with a small phone does, in Chromium.

    python setup_page.py with-scripts|without-scripts URL FOLDER

Opens the link, presses the button, changes the language twice, opens a QR code; 360 pixels wide, and
the page itself by day and by night. One JSON object is printed for each step: {"step", "page",
"width"}, and a picture of it is put into FOLDER.
"""

import base64
import json
import pathlib
import sys
import tempfile
from urllib.parse import urljoin

from chromium import Chromium

WIDTH = 360


class Phone(Chromium):
    def __init__(self, home, folder):
        super().__init__(home)
        self.folder = pathlib.Path(folder)
        metrics = {"width": WIDTH, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        self.ask("DOM.enable")

    def tell(self, step):
        root = self.ask("DOM.getDocument")["root"]
        page = self.ask("DOM.getOuterHTML", nodeId=root["nodeId"])["outerHTML"]
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        picture = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        (self.folder / f"{step}.png").write_bytes(base64.b64decode(picture))
        print(json.dumps({"step": step, "page": page, "width": size["width"]}), flush=True)

    def find(self, selector):
        root = self.ask("DOM.getDocument")["root"]
        return self.ask("DOM.querySelector", nodeId=root["nodeId"], selector=selector)["nodeId"]

    def attribute(self, selector, name):
        flat = self.ask("DOM.getAttributes", nodeId=self.find(selector))["attributes"]
        return dict(zip(flat[::2], flat[1::2]))[name]

    def press(self, selector):
        """Presses what is there, and waits for the page that it leads to."""
        node = self.find(selector)
        self.ask("DOM.scrollIntoViewIfNeeded", nodeId=node)
        x1, y1, x2, _, _, y2, *_ = self.ask("DOM.getBoxModel", nodeId=node)["model"]["content"]
        at = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "button": "left", "clickCount": 1}
        self.ask("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", **at)
        while self.receive().get("method") != "Page.loadEventFired":
            pass


def main():
    scripts, url, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        phone = Phone(home, folder)
        try:
            if scripts == "without-scripts":
                phone.ask("Emulation.setScriptExecutionDisabled", value=True)
            wrong = phone.open(url)
            if wrong:
                raise SystemExit(wrong)
            phone.tell("door")
            phone.press("main button")
            phone.tell("kk")
            phone.press("nav button[lang=ru]")
            phone.tell("ru")
            phone.press("nav button[lang=en]")
            phone.tell("en")
            dark = [{"name": "prefers-color-scheme", "value": "dark"}]
            phone.ask("Emulation.setEmulatedMedia", features=dark)
            phone.tell("night")
            # It opens beside the page, which would ask to be sent again on the way back.
            picture = phone.attribute('a[target=_blank][href$="telegram-1.svg"]', "href")
            phone.open(urljoin(url, picture))
            phone.tell("qr")
        finally:
            phone.close()


if __name__ == "__main__":
    main()
