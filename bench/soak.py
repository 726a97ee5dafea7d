"""make bench-soak: a mixed load for minutes; after the first, nothing may grow."""

import os
import re
import statistics
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from loads import INDEXES, Stand, goal
from run import CONNECTIONS, ORDERS, save
from stand import WORK, Redis, machine, sql
from wrk import load

MINUTES = int(os.environ.get("BENCH_MINUTES", 10))
SECONDS = int(os.environ.get("BENCH_SECONDS", 60))


def look(stand: Stand, redis: Redis) -> dict:
    """What the service holds at this moment."""
    clients = re.search(r"connected_clients:(\d+)", redis.command("INFO", "clients"))[1]
    return {"memory_mb": round(stand.service.memory_mb(), 1),
            "postgres_connections": int(sql(
                "ADMIN_URL", "select count(*) from pg_stat_activity where usename = 'order_service'")),
            # Without the one that asks.
            "redis_connections": int(clients) - 1}


def watch(stand: Stand, redis: Redis, over: threading.Event) -> dict:
    """What it holds on average of twenty looks a minute, as instances come and go."""
    looks = []
    while not over.wait(SECONDS / 20):
        looks.append(look(stand, redis))
    return {name: round(statistics.fmean(look[name] for look in looks), 1) for name in looks[0]}


def measure(stand: Stand) -> list[dict]:
    minutes, redis = [], Redis(INDEXES["service"])
    for number in range(1, MINUTES + 1):
        over = threading.Event()
        with ThreadPoolExecutor() as pool:
            watching = pool.submit(watch, stand, redis, over)
            try:
                sample = load(stand.service.address, seconds=SECONDS, connections=CONNECTIONS, mode="mixed",
                              ids=WORK / "service.ids")
            finally:
                over.set()
        minute = watching.result() | {name: sample[name] for name in ("rps", "p50_ms", "p99_ms", "errors")}
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
    # Latency varies from minute to minute more than what is held.
    names = {"memory_mb": ("memory", 1.1), "postgres_connections": ("connections to Postgres", 1.1),
             "redis_connections": ("connections to Redis", 1.1), "p50_ms": ("p50", 1.2), "p99_ms": ("p99", 1.2)}
    result["goals"] = [goal(f"mixed load, growth of {title} after the first minute",
                            growth(result["minutes"], name), "at most", limit)
                       for name, (title, limit) in names.items()]
    result["goals"].append(goal("mixed load, errors", sum(m["errors"] for m in result["minutes"]), "at most", 0))
    save(result, "-soak")
    return 0


if __name__ == "__main__":
    sys.exit(main())
