"""Runs one benchmark, prints its small table, and writes one flat JSON object."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

BENCHMARKS = {
    "garbage": "100,000 unreadable messages in a row, with good ones between them",
    "acks": "from a message to its acknowledgement at 5,000 messages/s; 20 and 1,000 on their way; a cut connection",
    "soak": "memory over half an hour at half of the peak while links, broker and InfluxDB go away and come back",
    "outage": "InfluxDB is away for a day in short and comes back: memory, how late live readings are, what is missing",
    "stream": "the stream to InfluxDB and VictoriaMetrics against bare posts of the same lines; what it costs acks",
    "modbus": "125-register reads over 100 links against bare pymodbus; one dead unit among 32",
    "alarms": "the alarm decision on one core in point updates/s; 20,000 devices fall silent within 60 s",
    "browsers": "20 browsers on the control room, 10,000 rows, 50 changes/s: time to the eye, the web role's processor",
    "map": "25,000 pipes and 24,000 meters in Chromium, a trend over a year of minutes: frames, bytes, first picture",
    "alarm_path": "a gas sensor rises: time until Chromium shows the alarm and the ticket desk has the ticket",
    "ingest": "messages of 24 readings over Mosquitto, acknowledged after commit, against a bare acknowledging loop",
    "intervals": "final intervals: a gas day of a city written and looked at again, one meter's year read",
    "lists": "lists of a large city's meters: the first rows of each page, and what goes through all meters",
    "registry": "a network of 2.35 million meters: start, memory, and processor time while nothing comes",
    "commands": "commands on a link of 32 units with a dead one: how long they wait; a gateway killed amid a command",
    "clocks": "50,000 open tickets: how late a warning or breach is told, with a kill in between",
    "check": "`gasgate check` of ten thousand devices: time, and every finding with its place",
    "city_dataset": "writing the dataset of a large city: rows/s, memory, and the hours for 2.35 million meters",
    "city_day": "the daily pass of a large city, part after part: processor time by number of meters, and memory",
    "reload": "a thousand reloads of the role keep: memory, time, and the connections that must stay",
    "kill": "the role keep is killed a hundred times at 5,000 messages/s: what is lost, what is there twice",
    "isolation": "alarm decisions and ingest while pages load and a full daily pass runs",
    "hydraulics": "tables of zones' pipes against direct solutions in random hours; a year of 60 zones",
    "calibration": "simulated homes against measured loads that --loads and --weather name, in the same weather",
    "detection": "the examination: simulated cities are analysed, findings held against what really happened",
    "tickets": "tickets to a real tracker: faults and kills at random, 100 alarms a second, a dead receiver",
    "store": "loading, a meter's year, and how long the sealing of a day holds up intake",
}


def main() -> int:
    """Run the benchmark that the command line names. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS), help="which one; none lists them")
    parser.add_argument("--quick", action="store_true", help="end within 60 s")
    parser.add_argument("--meters", type=int, metavar="N", help="registry, city_dataset, tickets, clocks: so many")
    parser.add_argument("--days", type=int, metavar="N", help="city_dataset: so many days")
    parser.add_argument("--rounds", type=int, metavar="N", help="kill: so many times")
    parser.add_argument("--minutes", type=float, metavar="M", help="soak: so long")
    parser.add_argument("--rate", type=float, metavar="R", help="soak: so many messages a second")
    parser.add_argument("--loads", type=Path, metavar="FILE", help="calibration: measured daily loads, parquet")
    parser.add_argument("--weather", type=Path, metavar="FILE", help="calibration: weather of the same days, parquet")
    parser.add_argument("--seeds", metavar="S", help="detection: reporting (the default), tuning, or numbers 1,2,3")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="detection: keep cities and answers for later runs")
    parser.add_argument("--baseline", action="store_const", const=True, help="detection: plain rules as well")
    parser.add_argument("--without", metavar="PART", help="detection: one mechanism switched off")
    parser.add_argument("--ablation", action="store_const", const=True, help="detection: each mechanism off in turn")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="city_day: draw time by meters, SVG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    chosen = parser.parse_args()
    if chosen.name is None:
        for name, what in BENCHMARKS.items():
            print(f"{name:<12} {what}")
        return 0
    exam = ("seeds", "keep", "baseline", "without", "ablation")
    sizes = ("meters", "days", "minutes", "rate", "rounds", "loads", "weather", "chart", *exam)
    options = {name: value for name in sizes if (value := getattr(chosen, name)) is not None}
    work = importlib.import_module(f"benchmarks.{chosen.name}").run
    figures: dict[str, float] = work(quick=chosen.quick, **options)
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:,.3f}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
