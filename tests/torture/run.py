#!/usr/bin/env python3
"""make torture: clients create orders, repeat what was not answered, change orders and read the
change feed, while everything underneath is killed and started again. Then it is compared what they
were told with what is stored (check.py). scripts/torture prepares the ground."""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from buyers import SCARCE, PRODUCTS, Buyer
from check import check
from client import Api, Told
from havoc import Havoc
from picture import draw
from readers import Reader
from world import ROOT, World

BUYERS = 16
READERS = 4
# When everything is up again, nobody should have to wait longer than this.
SETTLE_LIMIT_S = 120


class Supplier(threading.Thread):
    """Brings a few more of the scarce product now and then, once each."""

    def __init__(self, api, ended):
        super().__init__(daemon=True)
        self.api, self.ended, self.added = api, ended, 0

    def run(self):
        while not self.ended.wait(2):
            key = {"Idempotency-Key": f"supply-{self.added}"}
            body = json.dumps({"operation": "add", "quantity": 5})
            while not self.api.ask("POST", f"/api/products/{SCARCE}/update_stock/", body, key):
                pass
            self.added += 5


class Run:
    def __init__(self, given):
        self.given, self.folder = given, Path(given.folder)
        self.world = World(self.folder, given.fail_percent)
        self.begun = time.monotonic()
        self.told, self.apis = Told(), []
        self.ended, self.all_written, self.give_up = (threading.Event() for _ in range(3))

    def clock(self):
        return time.monotonic() - self.begun

    def api(self):
        """One more client of the service, whose requests are counted."""
        self.apis.append(Api(self.world.address, self.clock))
        return self.apis[-1]

    def stock(self):
        api = Api(self.world.products_address, self.clock)

        def left(product_id):
            while not (reply := api.ask("GET", f"/api/products/{product_id}/")):
                pass
            return reply.data["stock"]

        return {product_id: left(product_id) for product_id in [*PRODUCTS, SCARCE]}

    def tortured(self):
        """The torture itself, and then peace until everything is settled."""
        self.world.start()
        self.before = self.stock()
        self.begun = time.monotonic()
        self.buyers = [Buyer(number, self.api(), self.api(), self.told, self.ended, self.give_up)
                       for number in range(BUYERS)]
        # The last one begins from the start when the others are halfway.
        self.readers = [Reader(number, self.api(), self.told, self.all_written, self.give_up,
                               self.given.seconds / 2 if number == READERS - 1 else 0)
                        for number in range(READERS)]
        self.supplier = Supplier(Api(self.world.products_address, self.clock), self.ended)
        for thread in (*self.buyers, *self.readers, self.supplier):
            thread.start()
        self.havoc = Havoc(self.world, self.clock, self.given.seconds, self.given.seed)
        self.havoc.start()
        time.sleep(max(0, self.given.seconds - self.clock()))
        self.havoc.join()
        self.ended.set()
        self.wait_for([*self.buyers, self.supplier], "an answer to every wish")
        self.world.keeper.end()
        self.keeper("run", "--once")
        self.all_written.set()
        self.wait_for(self.readers, "the end of the feed")
        self.last_looks()

    def wait_for(self, threads, what):
        limit = time.monotonic() + SETTLE_LIMIT_S
        for thread in threads:
            thread.join(max(0, limit - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            self.told.violate(f"waited in vain for {what}")
            self.give_up.set()

    def keeper(self, *command):
        with (self.folder / "keeper.log").open("a") as log:
            done = subprocess.run(self.world.keeper_command(*command), cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                  stderr=log, check=True, timeout=2 * SETTLE_LIMIT_S)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def last_looks(self):
        """Each order as it is shown now, and whether some of them can be found by their keys."""
        api = self.api()
        wishes = [wish for buyer in self.buyers for wish in buyer.wishes]
        for wish in wishes[:: max(1, len(wishes) // 300)]:
            if wish.created:
                self.buyers[0].look(wish)
            path = f"/api/orders?user_id={wish.user}&idempotency_key={wish.key}"
            reply = api.ask("GET", path)
            found = [order["id"] for order in reply.data] if reply and reply.status == 200 else reply and reply.text
            if found != ([wish.order_id] if wish.created else []):
                self.told.violate(f"the key of order {wish.order_id} leads to {found}")

    def write(self):
        """What clients were told, for the checker."""
        wishes = [wish.record() for buyer in self.buyers for wish in buyer.wishes]
        told = [{"order_id": order_id, "version": version, "status": status}
                for (order_id, version), status in self.told.statuses.items()]
        after = self.stock()
        stock = {product_id: (self.before[product_id], self.supplier.added if product_id == SCARCE else 0, after[product_id])
                 for product_id in after}
        self.troubles = self.keeper("list")
        files = {"wishes": wishes, "told": told, "troubles": self.troubles}
        files |= {f"reader-{number}": reader.events for number, reader in enumerate(self.readers)}
        for name, lines in files.items():
            (self.folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (self.folder / "stock.json").write_text(json.dumps(stock))
        self.wishes = wishes

    def figures(self, violations):
        counts = sum((api.counts for api in self.apis), Counter())
        total = Counter()
        for (_, what), count in counts.items():
            total[what] += count
        delays = sorted(delay for reader in self.readers for delay in reader.delays_ms) or [0]
        created = [wish for wish in self.wishes if wish["created"]]
        return {
            "seconds": self.given.seconds,
            "host": version(self.world.host.command[0]),
            "requests": total["requests"],
            "unanswered": total["unanswered"],
            "failed": total["failed"],
            "retries": total["retries"],
            "replays": total["replays"],
            "orders": len(created),
            "orders_after_retries": sum(wish["retries"] > 0 for wish in created),
            "refused": sum(wish["refused"] is not None for wish in self.wishes),
            "shipped_without_stock": len({row["order_id"] for row in self.troubles}),
            "events": len(self.readers[0].events),
            "events_read_again": sum(reader.again for reader in self.readers),
            "feed_delay_ms": {"median": round(statistics.median(delays)), "p99": round(delays[len(delays) * 99 // 100])},
            "kills": dict(Counter(what for _, what in self.havoc.events)),
            "violations": len(violations),
            "timeline": {
                "events": sorted(self.havoc.events),
                **{what: [counts[second, what] for second in range(int(self.given.seconds))]
                   for what in ("requests", "retries", "replays", "created")},
            },
        }


def version(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="where logs and figures go")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--fail-percent", type=int, default=6, help="of the requests to the product service")
    run = Run(parser.parse_args())
    print(f"torture: {run.given.seconds:.0f} s, seed {run.given.seed}", flush=True)
    threading.excepthook = lambda failed: run.told.violate("".join(traceback.format_exception(failed.exc_value)))
    try:
        run.tortured()
        run.write()
        violations = run.told.violations + check(run.folder)
    finally:
        run.give_up.set()
        run.world.end()
    figures = run.figures(violations)
    (run.folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (run.folder / "torture.svg").write_text(draw(figures))
    for violation in violations[:30]:
        print(f"VIOLATION {violation}")
    for name, value in figures.items():
        if name != "timeline":
            print(f"{name:22} {value}")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
