"""The bench step of scripts/test: a very short measurement, and whether what it says is whole. How
quick anything is does not matter here."""

import json
import os
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

FOLDER = tempfile.TemporaryDirectory()
os.environ |= {"BENCH_ROUNDS": "1", "BENCH_SECONDS": "1", "BENCH_CONNECTIONS": "4", "BENCH_ORDERS": "500",
               "BENCH_SILENCE": "4", "BENCH_SWEEP": "16 256", "BENCH_RESULTS": FOLDER.name}

import report  # noqa: E402
import run  # noqa: E402
from loads import GOALS  # noqa: E402


def problems(result: dict) -> list[str]:
    found = []
    for load_name, contenders in result["loads"].items():
        for name, own in contenders.items():
            if own["errors"]:
                found.append(f"{load_name}: {own['errors']} errors of {name}")
            found += [f"{load_name}: {name} has no {figure}" for figure in run.FIGURES
                      if not own[figure][1] > 0 and (figure != "cpu_us" or load_name == "health")]
    hits = {name: result["loads"][name]["service"]["hits"] for name in ("cached read", "uncached read")}
    if hits["cached read"] < 0.9 or hits["uncached read"] > 0.5:
        found.append(f"reads are not what they should be: {hits}")
    ratios = {goal["name"] for goal in result["goals"]}
    against_floor = [load for load, _, rival, *_ in GOALS if rival == "floor"]
    found += [f"no ratio of {load}" for load in against_floor
              if f"{load}, processor time against floor" not in ratios]
    found += [f"{load}: errors in the sweep" for load, rows in result["sweep"].items()
              for point in rows["service"] if point["errors"]]
    if not all(result["starts"][name]["cold_ms"][1] > 0 for name in ("service", "floor")):
        found.append("a start was not measured")
    if not result["silence"]["per_second"]:
        found.append("no second was counted after the silence")
    return found


def main() -> int:
    run.main()
    folder = Path(FOLDER.name)
    result = json.loads(next(folder.glob("*.json")).read_text())
    found = problems(result)
    blocks, pictures, _ = report.report(folder)
    if (blocks, pictures) != report.report(folder)[:2]:
        found.append("the report is not the same twice")
    for name, picture in pictures.items():
        ElementTree.fromstring(picture)
        if f"performance/{name}" not in "".join(blocks.values()):
            found.append(f"{name} is drawn and not shown")
    for problem in found:
        print(f"bench: {problem}", file=sys.stderr)
    print(f"bench: {len(result['loads'])} loads, {len(result['goals'])} goals, {len(pictures)} pictures")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
