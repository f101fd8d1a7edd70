"""Reads what a relay has for Prometheus, with the parser of Prometheus' own Python client.

    python scrape.py URL...

One JSON object is printed for each URL: its samples, by name and labels as in
`jaryq_bytes_total{datacentre="2",direction="up",protocol="telegram-dd"}`. Needs the PyPI package
prometheus_client 0.23.1.
"""

import json
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

TYPES = {"counter": "_total", "gauge": ""}


def main():
    for url in sys.argv[1:]:
        # Whatever proxy the environment names is not meant for this.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = answer.read().decode()
        samples = {}
        names = set()
        for family in text_string_to_metric_families(text):
            assert family.documentation and family.name not in names, family
            names.add(family.name)
            for sample in family.samples:
                assert sample.name == family.name + TYPES[family.type], sample
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                name = f"{sample.name}{{{labels}}}" if labels else sample.name
                assert name not in samples, sample
                samples[name] = sample.value
        print(json.dumps(samples))


main()
