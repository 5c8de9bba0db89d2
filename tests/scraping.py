"""What Prometheus would read of a server, read by the parser of Prometheus' own client library."""

import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from tests.serving import PATIENCE_SECONDS, Server


@dataclass(frozen=True)
class Scrape:
    """One answer of ``/metrics``."""

    types: dict[str, str]
    """By name of the family, as it stands in the TYPE line."""
    texts: dict[str, str]
    labels: dict[str, set[str]]
    """By name of the family: the labels of its samples, but for ``le``; only families that have samples."""
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float | None:
        """Of the sample with exactly these labels; None if there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """Of all samples with at least these labels."""
        return sum(value for (found, has), value in self.samples.items() if found == name and labels.items() <= dict(has).items())


def read(text: str) -> Scrape:
    """Parse what was scraped. No sample may be there twice."""
    scrape = Scrape(types={}, texts={}, labels={}, samples={})
    for family in text_string_to_metric_families(text):
        # The parser takes the ending from the names of counters.
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name not in scrape.types, name
        scrape.types[name], scrape.texts[name] = family.type, family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in scrape.samples, key
            scrape.samples[key] = sample.value
            scrape.labels.setdefault(name, set()).update(set(sample.labels) - {"le"})
    return scrape


def scrape(server: Server, url: str | None = None) -> Scrape:
    """What the server tells now, at its own ``/metrics`` if no other URL is given."""
    with urllib.request.urlopen(url or f"{server.url}/metrics", timeout=PATIENCE_SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=")
        return read(answer.read().decode())
