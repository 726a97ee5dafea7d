"""make bench-soak: a mixed load for minutes; after the first, nothing may grow."""

import os
import re
import statistics
import sys

from loads import INDEXES, Stand, goal
from run import CONNECTIONS, ORDERS, save
from stand import WORK, Redis, machine, sql
from wrk import load

MINUTES = int(os.environ.get("BENCH_MINUTES", 10))
SECONDS = int(os.environ.get("BENCH_SECONDS", 60))


def measure(stand: Stand) -> list[dict]:
    minutes, redis = [], Redis(INDEXES["service"])
    for number in range(1, MINUTES + 1):
        sample = load(stand.service.address, seconds=SECONDS, connections=CONNECTIONS, mode="mixed",
                      ids=WORK / "service.ids")
        minute = {name: sample[name] for name in ("rps", "p50_ms", "p99_ms", "errors")}
        minute["memory_mb"] = round(stand.service.memory_mb(), 1)
        minute["postgres_connections"] = int(sql(
            "ADMIN_URL", "select count(*) from pg_stat_activity where usename = 'order_service'"))
        minute["redis_connections"] = int(re.search(r"connected_clients:(\d+)", redis.command("INFO", "clients"))[1]) - 1
        minutes.append(minute)
        print(f"minute {number}: {minute}", flush=True)
    return minutes


def growth(minutes: list[dict], name: str) -> float:
    """The last three minutes against the three after the first."""
    later = minutes[1:] or minutes
    first, last = ([minute[name] for minute in part] for part in (later[:3], later[-3:]))
    return statistics.median(last) / max(statistics.median(first), 1e-9)


def main() -> int:
    result = {"machine": machine(), "settings": {
        "minutes": MINUTES, "seconds": SECONDS, "connections": CONNECTIONS, "orders": ORDERS}}
    with Stand(ORDERS, peers=False) as stand:
        # Its own connections and memory would be counted too.
        stand.floor.stop()
        result["minutes"] = measure(stand)
    names = {"memory_mb": "memory", "postgres_connections": "connections to Postgres",
             "redis_connections": "connections to Redis", "p50_ms": "p50", "p99_ms": "p99"}
    result["goals"] = [goal(f"mixed load, growth of {title} after the first minute",
                            growth(result["minutes"], name), "at most", 1.1) for name, title in names.items()]
    result["goals"].append(goal("mixed load, errors", sum(m["errors"] for m in result["minutes"]), "at most", 0))
    save(result, "-soak")
    return 0


if __name__ == "__main__":
    sys.exit(main())
