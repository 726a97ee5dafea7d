"""make bench-faults: what a client sees while something that the service depends on is slow or down."""

import os
import sys
import threading

from loads import Stand, goal
from run import CONNECTIONS, ORDERS, save
from stand import databases, machine

SECONDS = int(os.environ.get("BENCH_SECONDS", 10))
SLOW_MS = 300
LOADS = ("cached read", "uncached read", "create 1", "list of 20")


def products_slow(stand: Stand, slow: bool) -> None:
    stand.products.stop()
    stand.products.command[3:] = ["--delay-ms", str(SLOW_MS)] if slow else []
    stand.products.start()


def postgres_restarts() -> None:
    databases("stop", "postgres")
    databases("start", "postgres")


def measure(stand: Stand, during=lambda: None) -> dict:
    figures = {}
    for load_name in LOADS:
        request = stand.loads()[load_name]["service"]
        fault = threading.Timer(SECONDS / 4, during)
        fault.start()
        sample = stand.run(load_name, "service", request, SECONDS, CONNECTIONS, count=1)
        fault.join()
        begun = min(map(int, sample["seconds"]), default=0)
        good = [sample["seconds"].get(str(begun + second), 0) for second in range(SECONDS)]
        figures[load_name] = {name: sample[name] for name in ("rps", "p50_ms", "p99_ms", "statuses")}
        figures[load_name]["good_per_second"] = good
        figures[load_name]["unanswered"] = sample["errors"] - sum(
            count for status, count in sample["statuses"].items() if int(status) >= 400)
        print(f"  {load_name:14} {sample['rps']:8.0f}/s p50 {sample['p50_ms']:8.1f} p99 {sample['p99_ms']:8.1f} ms "
              f"{sample['statuses']} unanswered {figures[load_name]['unanswered']}", flush=True)
    return figures


def main() -> int:
    phases = {}

    def phase(name: str, during=lambda: None) -> None:
        print(name, flush=True)
        phases[name] = measure(stand, during)

    result = {"machine": machine(), "settings": {"seconds": SECONDS, "connections": CONNECTIONS, "orders": ORDERS}}
    with Stand(ORDERS, peers=False) as stand:
        phase("nothing")
        products_slow(stand, True)
        phase(f"products answer after {SLOW_MS} ms")
        stand.products.stop()
        phase("products are down")
        products_slow(stand, False)
        databases("stop", "redis")
        phase("Redis is stopped")
        databases("start", "redis")
        phase("Postgres restarts", postgres_restarts)
        phase("nothing, afterwards")
    result["phases"] = phases
    usual, without = phases["nothing"]["uncached read"], phases["Redis is stopped"]["uncached read"]
    result["goals"] = [goal("reads without Redis, throughput against uncached reads with it",
                            without["rps"] / usual["rps"], "at least", 0.6)]
    save(result, "-faults")
    return 0


if __name__ == "__main__":
    sys.exit(main())
