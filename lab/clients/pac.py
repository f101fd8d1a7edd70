"""Asks a PAC file, in Chromium, how each host is reached.

    python pac.py SCRIPT HOST...

Prints one answer a line.
"""

import json
import sys
import tempfile

from chromium import Chromium


def main():
    script, *hosts = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Chromium(home)
        try:
            for host in hosts:
                print(browser.value(f"{script}\nFindProxyForURL('', {json.dumps(host)})"))
        finally:
            browser.close()


if __name__ == "__main__":
    main()
