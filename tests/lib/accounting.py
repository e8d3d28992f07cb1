# SPDX-License-Identifier: Apache-2.0
"""Every span that the otel plugin makes is in exactly one place: exported, lost for one reason, open,
waiting, parked or in flight, not sampled, left to a line of the log, or discarded where nobody exports. SpoeHost
checks it for every host with the plugin: on /metrics, where the admin endpoint is on, at the end of
its block and before SIGTERM, and in the log's line of totals after it. Requests and messages are never added up with spans.
Log records and data points of metrics, each for itself, are exported, lost or in their queue.
"""

import re

from . import admin
from .procs import wait_until

# Counters of the line of totals: spans made, and where they are in the end.
MADE = ("opened", "passed_over", "attached", "late", "logged")
ENDS = (
    "exported", "rejected", "given_up", "not_retryable", "too_large", "no_memory_at_export",
    "lost_at_stop", "dropped", "queue_no_memory", "still_open", "unsampled_spans", "discarded",
    "superseded",
)


def spans_made(families):
    return families["spoe_otel_spans_opened_total"].total()


def spans_placed(families):
    """Where they are, by name: the right side of the identity of docs/metrics.md."""
    return {
        "exported": families["spoe_otel_spans_exported_total"].total(),
        "lost": families["spoe_otel_spans_lost_total"].total(),
        "unsampled": families["spoe_otel_spans_unsampled_total"].total(),
        "discarded": families["spoe_otel_spans_discarded_total"].total(),
        "superseded": families["spoe_otel_spans_superseded_total"].total(),
        "open": families["spoe_otel_open_spans"].total(),
        **{state: families["spoe_otel_queue_spans"].total(state=state)
           for state in ("waiting", "in_flight", "parked")},
    }


def signal_places(families, items):
    """Of log_records or metric_points: how many were made, and where they are."""
    return families[f"spoe_otel_{items}_total"].total(), {
        "exported": families[f"spoe_otel_{items}_exported_total"].total(),
        "lost": families[f"spoe_otel_{items}_lost_total"].total(),
        **{state: families[f"spoe_otel_queue_{items}"].total(state=state)
           for state in ("waiting", "in_flight", "parked")},
    }


def check_metrics(host):
    """Wait until /metrics adds up: a scrape may see a span on its way from one place to another."""
    seen = {}

    def adds_up():
        families = admin.metrics(host)
        if "spoe_otel_spans_opened_total" not in families:
            return True
        seen["spans"] = spans_made(families), spans_placed(families)
        for items in ("log_records", "metric_points"):
            if f"spoe_otel_{items}_total" in families:
                seen[items] = signal_places(families, items)
        return all(made == sum(places.values()) for made, places in seen.values())

    wait_until(adds_up, lambda: f"each to be in one place: {seen}")


def check_totals(host):
    """The plugin's lines of totals add up, if there are some; they are written at the end."""
    for line in host.lines:
        match = re.search(r'totals of (?:logs|metrics): ([^"]*)', line)
        if match:
            total = {key: int(value) for key, value in
                     (pair.split("=") for pair in match.group(1).split())}
            ends = {name: n for name, n in total.items()
                    if n and name not in ("made", "batches", "retries")}
            assert total["made"] == sum(ends.values()), f"{line}{host.report()}"
        match = re.search(r'totals: (requests=\d+ backends=[^"]*)', line)  # not another plugin's
        if not match:
            continue
        total = {key: int(value) for key, value in
                 (pair.split("=") for pair in match.group(1).split())}
        made = sum(total.get(name, 0) for name in MADE)
        ends = {name: total[name] for name in ENDS if total[name]}
        assert made == sum(ends.values()), f"{made} spans made, but {ends}{host.report()}"
