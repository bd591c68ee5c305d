"""Figures of an event log that Retold's process map is checked against, by pm4py: which event
follows which, how often and how long it takes, and what the last event of each case is.

Called with the file, the columns of a CSV file as JSON (case, event, time), and prints JSON.
"""

import gzip
import json
import shutil
import sys
import tempfile

import pandas
import pm4py

CASE, EVENT, TIME = "case:concept:name", "concept:name", "time:timestamp"


def read(path, columns):
    if ".csv" in path:
        table = pandas.read_csv(path)
        table = table.rename(columns={columns[0]: CASE, columns[1]: EVENT, columns[2]: TIME})
        table[TIME] = pandas.to_datetime(table[TIME], utc=True, format="ISO8601")
        table[CASE] = table[CASE].astype(str)
        return table
    with tempfile.NamedTemporaryFile(suffix=".xes") as plain:
        opened = gzip.open(path) if path.endswith(".gz") else open(path, "rb")
        with opened as packed:
            shutil.copyfileobj(packed, plain)
        plain.flush()
        return pm4py.read_xes(plain.name, return_legacy_log_object=False)


def main():
    log = read(sys.argv[1], json.loads(sys.argv[2]))
    # By time within a case; what happened at the same time stays in the order of the file.
    log = log.sort_values([CASE, TIME], kind="stable")
    counts, begins, ends = pm4py.discover_dfg(log)
    times, _, _ = pm4py.discover_performance_dfg(log, perf_aggregation_key="all")
    edges = [
        {
            "from": first,
            "to": second,
            "count": int(count),
            "mean": float(times[(first, second)]["mean"]),
            "median": float(times[(first, second)]["median"]),
        }
        for (first, second), count in counts.items()
    ]
    last = log.groupby(CASE, sort=False)[EVENT].last()
    print(
        json.dumps(
            {
                "edges": edges,
                "begins": {event: int(count) for event, count in begins.items()},
                "ends": {event: int(count) for event, count in ends.items()},
                "last": {str(case): event for case, event in last.items()},
            }
        )
    )


main()
