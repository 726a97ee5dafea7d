"""make bench-report: writes the figures of bench/results/ into docs/performance.md, between its marks,
and draws the pictures. With --check it changes nothing, and fails when that would change something, or
when a goal that is missed has no paragraph."""

import json
import re
import sys
from pathlib import Path

from pictures import dots, lines

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/performance.md"
PICTURES = ROOT / "docs/performance"
BLOCK = re.compile(r"(<!-- figures: ([a-z]+) -->\n).*?(<!-- end -->)", re.S)
NAMES = {"service": "service", "floor": "floor", "axum": "axum", "gin": "Gin"}


def results(folder: Path, kind: str) -> dict | None:
    """Those of the real Spin, or of the stand-in where there are none."""
    for host in ("spin", "stand-in"):
        path = folder / f"{host}{kind}.json"
        if path.exists():
            return json.loads(path.read_text())
    return None


def table(head: list[str], rows: list[list]) -> str:
    lines_of = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(str(cell) for cell in row) + " |\n" for row in lines_of)


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(three: list[float]) -> str:
    low, middle, high = map(figure, three)
    return f"{middle} ({low}–{high})"


def conditions(result: dict) -> str:
    machine, settings = result["machine"], result["settings"]
    versions = ", ".join(f"{title} {machine[name]}" for name, title in
                         (("postgres", "Postgres"), ("redis", "Redis"), ("rustc", "rustc"), ("go", "Go")) if machine[name])
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    return (f"Measured on {machine['date']} at commit {machine['commit']}: {machine['host']}, {machine['cpu']}, "
            f"load average before it {machine['load_average']}, {versions}. Settings: {settings}.\n")


def goal_table(result: dict) -> str:
    return table(["goal", "is", "should be", "kept"], [
        [goal["name"], f"{goal['value']:.2f}", f"{goal['bound']} {goal['limit']}", "yes" if goal["kept"] else "**no**"]
        for goal in result["goals"]])


def load_tables(loads: dict) -> str:
    rivals = [name for name in NAMES if name in next(iter(loads.values()))]
    cpu = table(["processor time, µs", *(NAMES[name] for name in rivals), "service / floor"], [
        [name, *(spread(own[rival]["cpu_us"]) for rival in rivals),
         f"{own['service']['cpu_us'][1] / max(own['floor']['cpu_us'][1], 0.001):.2f}"] for name, own in loads.items()])
    rate = table(["requests/s", *(NAMES[name] for name in rivals), *(f"service / {NAMES[name]}" for name in rivals[1:])], [
        [name, *(spread(own[rival]["rps"]) for rival in rivals),
         *(f"{own['service']['rps'][1] / own[rival]['rps'][1]:.2f}" for rival in rivals[1:])]
        for name, own in loads.items()])
    wait = table(["p50 / p99, ms", *(NAMES[name] for name in rivals), "errors of the service"], [
        [name, *(f"{figure(own[rival]['p50_ms'][1])} / {figure(own[rival]['p99_ms'][1])}" for rival in rivals),
         own["service"]["errors"]] for name, own in loads.items()])
    return (f"{cpu}\n![Processor time per request](performance/cpu.svg)\n\n{rate}\n"
            f"![Requests per second](performance/throughput.svg)\n\n{wait}")


def start_table(result: dict) -> str:
    rows = [["the component, MB", f"{result['component_bytes'] / 1e6:.2f}", ""],
            ["resident memory after the loads, MB", *(result["memory_mb"][name] for name in ("service", "floor"))],
            ["resident memory after a start, MB", *(result["starts"][name]["idle_memory_mb"] for name in ("service", "floor"))]]
    titles = {"cold_ms": "start to first 200, nothing compiled, ms",
              "cached_ms": "start to first 200, compiled code cached, ms"}
    for key in result["starts"]["service"]:
        if key.endswith("_ms"):
            load, _, kind = key.partition(": ")
            which = "first request of a fresh instance" if kind == "fresh_ms" else "the next request"
            title = titles.get(key) or f"{load}, {which}, ms"
            rows.append([title, *(spread(result["starts"][name][key]) for name in ("service", "floor"))])
    return table(["", "service", "floor"], rows)


def sweep_tables(sweep: dict) -> str:
    parts = [table([f"{load}: connections", "requests/s", "p50, ms", "p99, ms", "errors", "floor: requests/s", "floor: p99, ms"], [
        [own["connections"], figure(own["rps"]), figure(own["p50_ms"]), figure(own["p99_ms"]), own["errors"],
         figure(floor["rps"]), figure(floor["p99_ms"])] for own, floor in zip(rows["service"], rows["floor"])])
        for load, rows in sweep.items()]
    return ("\n".join(parts) + "\n![Throughput by connections](performance/sweep-throughput.svg)\n\n"
            "![99th percentile by connections](performance/sweep-p99.svg)\n")


def fault_tables(phases: dict) -> str:
    rows = []
    for phase, loads in phases.items():
        for load, own in loads.items():
            statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(own["statuses"].items()))
            rows.append([phase, load, figure(own["rps"]), figure(own["p50_ms"]), figure(own["p99_ms"]), statuses,
                         own["unanswered"], sum(count == 0 for count in own["good_per_second"])])
    return (table(["meanwhile", "load", "requests/s", "p50, ms", "p99, ms", "responses by status", "unanswered",
                   "seconds without a success"], rows)
            + "\n![Successes per second while Postgres restarts](performance/restart.svg)\n")


def soak_table(minutes: list[dict]) -> str:
    return table(["minute", "requests/s", "p50, ms", "p99, ms", "errors", "memory, MB", "connections to Postgres", "to Redis"], [
        [number, figure(own["rps"]), figure(own["p50_ms"]), figure(own["p99_ms"]), own["errors"], own["memory_mb"],
         own["postgres_connections"], own["redis_connections"]] for number, own in enumerate(minutes, 1)])


def report(folder: Path) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Blocks of the page by name, pictures by file name, and the names of the missed goals."""
    blocks, pictures, missed = {}, {}, []
    bench, faults, soak = (results(folder, kind) for kind in ("", "-faults", "-soak"))
    for result, names in ((bench, ("loads", "starts", "sweep", "silence")), (faults, ("faults",)), (soak, ("soak",))):
        for name in names:
            blocks[name] = "\nNot measured yet.\n\n"
        missed += [goal["name"] for goal in (result or {}).get("goals", []) if not goal["kept"]]
    if bench:
        loads, sweep, counts = bench["loads"], bench["sweep"], bench["silence"]["per_second"]
        rivals = [name for name in NAMES if name in loads["health"]]
        for name, key, title in (("cpu", "cpu_us", "Processor time of the server per request, µs"),
                                 ("throughput", "rps", "Requests per second")):
            pictures[f"{name}.svg"] = dots(title, {
                load: {NAMES[rival]: own[rival][key][1] for rival in rivals} for load, own in loads.items()},
                [NAMES[rival] for rival in rivals])
        labels = [point["connections"] for point in next(iter(sweep.values()))["service"]]
        for name, key, title in (("throughput", "rps", "Requests per second, by connections"),
                                 ("p99", "p99_ms", "99th percentile in ms, by connections")):
            pictures[f"sweep-{name}.svg"] = lines(title, labels, {
                f"{load}, {name}": [point[key] for point in own] for load, rows in sweep.items() for name, own in rows.items()})
        pictures["silence.svg"] = lines("/health after silence: requests in each second",
                                        list(range(1, len(counts) + 1)), {"service": counts})
        blocks["loads"] = f"\n{conditions(bench)}\n{goal_table(bench)}\n{load_tables(loads)}\n"
        blocks["starts"] = f"\n{start_table(bench)}\n"
        blocks["sweep"] = f"\n{sweep_tables(sweep)}\n"
        blocks["silence"] = "\n![Requests of /health in each second](performance/silence.svg)\n\n"
    if faults:
        restart = {load: own["good_per_second"] for load, own in faults["phases"]["Postgres restarts"].items()}
        seconds = list(range(1, faults["settings"]["seconds"] + 1))
        pictures["restart.svg"] = lines("Successes per second while Postgres restarts", seconds, restart)
        blocks["faults"] = f"\n{conditions(faults)}\n{goal_table(faults)}\n{fault_tables(faults['phases'])}\n"
    if soak:
        blocks["soak"] = f"\n{conditions(soak)}\n{goal_table(soak)}\n{soak_table(soak['minutes'])}\n"
    return blocks, pictures, missed


def main() -> int:
    check = "--check" in sys.argv
    blocks, pictures, missed = report(ROOT / "bench/results")
    before = PAGE.read_text()
    page = BLOCK.sub(lambda match: match[1] + blocks[match[2]] + match[3], before)
    problems = [f"{name}: the goal is missed, and no paragraph begins with **{name}**" for name in missed
                if f"\n**{name}**" not in before]
    drawn = {PICTURES / name: picture for name, picture in pictures.items()}
    stale = [path for path in PICTURES.glob("*.svg") if path not in drawn]
    wanted = {PAGE: page} | drawn
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if check:
        problems += [f"{path.relative_to(ROOT)} is not what bench/results/ says: run make bench-report" for path in changed + stale]
    else:
        for path in stale:
            path.unlink()
        for path in changed:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path])
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems and check else 0


if __name__ == "__main__":
    sys.exit(main())
