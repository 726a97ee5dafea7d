#!/usr/bin/env python3
"""Keeps the figures of one run, and writes docs/reliability.md and its picture from them.

    report.py .dev/torture/figures.json"""

import json
import re
import sys
from pathlib import Path

from picture import draw

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEPT, PICTURE, PAGE = DOCS / "torture.json", DOCS / "torture.svg", DOCS / "reliability.md"
FIGURES = re.compile(r"(?s)(<!-- figures -->\n).*(<!-- end -->)")

ROWS = {
    "requests": "requests",
    "unanswered": "requests without an answer (the connection was refused or cut, or ten seconds passed)",
    "failed": "requests answered with a 5xx",
    "orders": "orders acknowledged",
    "orders_after_retries": "of these, orders whose creation had to be sent more than once",
    "retries": "creations sent again because of that",
    "replays": "answers replayed by a key",
    "refused": "creations refused for lack of stock",
    "events": "changes of orders, each read once by each of four readers",
    "events_read_again": "changes read again by readers that had gone back",
}


def table(figures):
    kills = ", ".join(f"{what} {count} times" for what, count in sorted(figures["kills"].items()))
    lines = [f"One run of {figures['seconds']:.0f} seconds on two cores, which clients, service and databases shared; "
             f"host: `{figures['host']}`. {kills}.", "", "| figure | |", "|---|---|"]
    lines += [f"| {label} | {figures[name]:,} |" for name, label in ROWS.items()]
    delay = figures["feed_delay_ms"]
    lines.append(f"| from a change to a waiting reader, median (most of the slow ones waited for something that was down) | {delay['median']} ms |")
    lines.append(f"| orders shipped by a client before their stock could be taken, left to a person | {figures['shipped_without_stock']:,} |")
    lines.append(f"| **violations** | **{figures['violations']:,}** |")
    return "\n".join([*lines, "", f"![What happened in each second of the run, and what was killed when]({PICTURE.name})"])


def page(text, figures):
    return FIGURES.sub(lambda found: f"{found[1]}\n{table(figures)}\n\n{found[2]}", text)


def main():
    figures = json.loads(Path(sys.argv[1]).read_text())
    KEPT.write_text(json.dumps(figures) + "\n")
    PICTURE.write_text(draw(figures))
    PAGE.write_text(page(PAGE.read_text(), figures))


if __name__ == "__main__":
    main()
