"""make bench: all loads against all contenders, in short rounds that alternate, because the speed of
a machine changes from one second to the next; then starts, a sweep over connections, and silence."""

import json
import os
import shutil
import statistics
import sys
import time

from loads import GOALS, Stand, goal
from stand import COMPONENT, ROOT, WORK, machine, setting

ROUNDS = int(os.environ.get("BENCH_ROUNDS", 5))
SECONDS = int(os.environ.get("BENCH_SECONDS", 2))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", 32))
ORDERS = int(os.environ.get("BENCH_ORDERS", 5000))
SILENCE_S = int(os.environ.get("BENCH_SILENCE", 60))
SWEEP = [int(count) for count in os.environ.get("BENCH_SWEEP", "1 2 4 8 16 32 64 128 256").split()]
LOADS_OF_STARTS = ("health", "cached read", "list of 20")
FIGURES = ("cpu_us", "rps", "p50_ms", "p99_ms")


def quartiles(values: list[float]) -> list[float]:
    """The lower quartile, the median and the upper quartile."""
    if len(values) < 2:
        return [round(value, 3) for value in values] * 3
    return [round(value, 3) for value in statistics.quantiles(values, n=4, method="inclusive")]


def measure_loads(stand: Stand) -> dict:
    figures = {}
    for load_name, requests in stand.loads().items():
        samples = {name: [] for name in requests}
        # Round 0 warms up, where there are several.
        for number in range(0 if ROUNDS > 1 else 1, ROUNDS + 1):
            for name in list(requests)[::1 if number % 2 else -1]:
                seconds = SECONDS if number else 1
                sample = stand.run(load_name, name, requests[name], seconds, CONNECTIONS)
                if number:
                    samples[name].append(sample)
        figures[load_name] = {
            name: {figure: quartiles([sample[figure] for sample in own]) for figure in FIGURES}
            | {"errors": sum(sample["errors"] for sample in own)}
            # Says whether reads were what they should be; by Redis's own count.
            | ({"hits": quartiles([sample["hits"] for sample in own])[1]} if "hits" in own[0] else {})
            for name, own in samples.items()}
        parts = [f"{name} {own['cpu_us'][1]:.0f} us {own['rps'][1]:.0f}/s"
                 + (f" ({own['errors']} errors)" if own["errors"] else "")
                 for name, own in figures[load_name].items()]
        print(f"{load_name:18} {', '.join(parts)}", flush=True)
    return figures


def measure_starts(stand: Stand) -> dict:
    """From the start of the process to the first 200, with and without compiled code in the cache of
    the engine; then the first request of a fresh instance, and one of an instance that is there."""
    starts, paths = {}, {"service": "/health", "floor": "/noop"}
    for name, path in paths.items():
        server = stand.contenders[name]
        times = {"cold_ms": [], "cached_ms": []}
        for number in range(max(ROUNDS // 2, 1)):
            # The engine keeps compiled code in the folder that this variable names.
            cache = str(WORK / f"cache-{name}-{os.getpid()}-{number}")
            for kind in ("cold_ms", "cached_ms", "cached_ms", "cached_ms"):
                server.stop()
                times[kind].append(server.start(path, XDG_CACHE_HOME=cache) * 1000)
            shutil.rmtree(cache, ignore_errors=True)
        starts[name] = {kind: quartiles(values) for kind, values in times.items()}
        starts[name]["idle_memory_mb"] = round(server.memory_mb(), 1)
    fresh = {(name, load_name): ([], []) for name in paths for load_name in LOADS_OF_STARTS}
    requests = stand.loads()
    for number in range((ROUNDS + 1) * len(LOADS_OF_STARTS)):
        # An instance is dropped after a second without requests.
        time.sleep(1.3)
        load_name = LOADS_OF_STARTS[number % len(LOADS_OF_STARTS)]
        for name in paths:
            for times in fresh[name, load_name]:
                times.append(stand.contenders[name].get(requests[load_name][name].path)[2] * 1000)
    for (name, load_name), (first, second) in fresh.items():
        starts[name][f"{load_name}: fresh_ms"] = quartiles(first)
        starts[name][f"{load_name}: warm_ms"] = quartiles(second)
    return starts


def measure_sweep(stand: Stand) -> dict:
    requests, sweep = stand.loads(), {}
    for load_name in ("cached read", "create 1"):
        samples = {(name, count): [] for name in ("service", "floor") for count in SWEEP}
        for _ in range(max(ROUNDS // 2, 1)):
            for (name, count), own in samples.items():
                own.append(stand.run(load_name, name, requests[load_name][name], SECONDS, count))
        sweep[load_name] = {
            name: [{"connections": count, "errors": sum(sample["errors"] for sample in samples[name, count])}
                   | {figure: quartiles([sample[figure] for sample in samples[name, count]])[1] for figure in FIGURES}
                   for count in SWEEP] for name in ("service", "floor")}
    return sweep


def measure_silence(stand: Stand) -> dict:
    time.sleep(SILENCE_S)
    sample = stand.run("health", "service", stand.loads()["health"]["service"], SILENCE_S, CONNECTIONS, count=1)
    # The first and the last second are not whole.
    counts = [sample["seconds"].get(str(second), 0)
              for second in range(int(min(sample["seconds"])) + 1, int(max(sample["seconds"])))]
    return {"per_second": counts, "errors": sample["errors"]}


def goals(result: dict) -> list[dict]:
    found = []
    for load_name, figure, rival, bound, limit in GOALS:
        figures = result["loads"][load_name]
        if rival in figures:
            # Processor time is counted in steps of 10 ms: of very few requests it may be nought.
            value = figures["service"][figure][1] / max(figures[rival][figure][1], 0.001)
            unit = "processor time" if figure == "cpu_us" else "requests/s"
            found.append(goal(f"{load_name}, {unit} against {rival}", value, bound, limit))
    for load_name, figures in result["sweep"].items():
        by_count = {point["connections"]: point for point in figures["service"]}
        peak = max(point["rps"] for point in by_count.values())
        errors = sum(point["errors"] for point in by_count.values())
        found += [goal(f"{load_name}, errors in the sweep", errors, "at most", 0),
                  goal(f"{load_name}, throughput at 256 connections against its peak",
                       by_count[256]["rps"] / peak, "at least", 0.85),
                  goal(f"{load_name}, p99 at 256 connections against 16",
                       by_count[256]["p99_ms"] / by_count[16]["p99_ms"], "at most", 6.0)]
    counts = result["silence"]["per_second"]
    found.append(goal("health after silence, slowest second against the median",
                      min(counts) / max(statistics.median(counts), 1), "at least", 0.5))
    return found


def save(result: dict, kind: str) -> None:
    """One file for each kind of host and of measurement; git keeps what was there before."""
    host = "stand-in" if setting("HOST").endswith("spin-standin") else "spin"
    folder = ROOT / os.environ.get("BENCH_RESULTS", "bench/results")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{host}{kind}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for entry in result["goals"]:
        mark = "  " if entry["kept"] else "!!"
        print(f"{mark} {entry['name']}: {entry['value']:.2f} ({entry['bound']} {entry['limit']})")
    print(f"results: {path}")


def main() -> int:
    result = {"machine": machine(), "settings": {
        "rounds": ROUNDS, "seconds": SECONDS, "connections": CONNECTIONS, "orders": ORDERS, "silence_s": SILENCE_S}}
    with Stand(ORDERS) as stand:
        result["loads"] = measure_loads(stand)
        result["memory_mb"] = {name: round(server.memory_mb(), 1) for name, server in stand.contenders.items()}
        result["component_bytes"] = COMPONENT.stat().st_size
        result["sweep"] = measure_sweep(stand)
        result["silence"] = measure_silence(stand)
        result["starts"] = measure_starts(stand)
    result["goals"] = goals(result)
    save(result, "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
