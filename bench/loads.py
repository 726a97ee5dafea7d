"""What is measured: the contenders, their orders, the loads, and the goals."""

import csv
import io
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from stand import ROOT, WORK, Redis, Server, peer, spin_application, sql
from wrk import load

LIST_USER = "bench-list"
LIST_ORDERS = 60
# The index in Redis that each contender has to itself.
INDEXES = {"service": 0, "floor": 1, "axum": 2, "gin": 3}

# Load, figure, against whom, and what the ratio may be at most or must be at least.
GOALS = [
    ("health", "cpu_us", "floor", "at most", 1.25),
    ("cached read", "cpu_us", "floor", "at most", 1.25),
    ("uncached read", "cpu_us", "floor", "at most", 1.35),
    ("create 1", "cpu_us", "floor", "at most", 1.35),
    ("create 3", "cpu_us", "floor", "at most", 1.35),
    ("list of 20", "cpu_us", "floor", "at most", 1.25),
    ("list of 20", "rps", "gin", "at least", 3.0),
    ("uncached read", "rps", "gin", "at least", 0.45),
    ("create 1", "rps", "gin", "at least", 0.45),
    ("create 3", "rps", "gin", "at least", 0.45),
    ("cached read", "rps", "gin", "at least", 0.18),
    ("list of 20", "rps", "axum", "at least", 0.7),
]


def goal(name: str, value: float, bound: str, limit: float) -> dict:
    kept = value <= limit if bound == "at most" else value >= limit
    return {"name": name, "value": round(value, 2), "bound": bound, "limit": limit, "kept": kept}


@dataclass
class Request:
    """How one contender is asked; `settings` are those of bench/load.lua."""
    path: str = "/"
    mode: str = "get"
    settings: dict = field(default_factory=dict)


class Stand:
    """The contenders, running, with orders in their databases."""

    def __init__(self, orders: int, peers: bool = True):
        self.orders = orders
        self.products = Server("products", [str(ROOT / "target/debug/sample-products"), "--listen", "ADDRESS"])
        address = self.products.address
        self.service = spin_application("service", "spin.toml", INDEXES["service"], address)
        self.floor = spin_application("floor", "bench/floor/spin.toml", INDEXES["floor"], address)
        rivals = [peer(name, INDEXES[name], address) for name in ("axum", "gin")] if peers else []
        self.contenders = {server.name: server for server in (self.service, self.floor, *rivals) if server}

    def __enter__(self):
        try:
            self.products.start()
            for name, server in self.contenders.items():
                server.start("/noop" if name == "floor" else "/health")
            self.seed()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in (*self.contenders.values(), self.products):
            server.stop()

    def seed(self) -> None:
        """Every order is made by the contender itself. The peers share one database."""
        documents = self.orders_of("service")
        if "axum" in self.contenders:
            self.orders_of("axum")
        sql("ADMIN_URL", (ROOT / "bench/floor/floor.sql").read_text())
        sql("ADMIN_URL", "copy floor_documents from stdin (format csv)", as_rows(documents))
        Redis(INDEXES["floor"]).command("SET", "document", json.dumps(documents[0]))
        for database in ("ADMIN_URL", "PEERS_ADMIN_URL"):
            sql(database, "vacuum analyze")

    def orders_of(self, name: str) -> list[dict]:
        address = self.contenders[name].address
        while self.page(address, "/api/orders", 1, 1)["pagination"]["total"] < self.orders:
            load(address, seconds=1, connections=16, mode="create", lines=2)
        path = f"/api/users/{LIST_USER}/orders"
        while self.page(address, path, 1, 1)["pagination"]["total"] < LIST_ORDERS:
            load(address, seconds=1, connections=1, mode="create", lines=2, user=LIST_USER)
        documents = self.page(address, path, 1, LIST_ORDERS)["data"]
        for page in range(1, -(-self.orders // 100) + 1):
            documents += self.page(address, "/api/orders", page, 100)["data"]
        documents = list({document["id"]: document for document in documents}.values())
        (WORK / f"{name}.ids").write_text("".join(f"{document['id']}\n" for document in documents))
        return documents

    def page(self, address: str, path: str, page: int, page_size: int) -> dict:
        server = next(server for server in self.contenders.values() if server.address == address)
        status, body, _ = server.get(f"{path}?page={page}&page_size={page_size}")
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body!r}")
        return json.loads(body)

    def loads(self) -> dict[str, dict[str, Request]]:
        """Load by load, how each contender is asked."""
        table = {}
        deep = max(self.orders * 4 // 5 // 20, 1)
        for name in self.contenders:
            api = name != "floor"
            ids = WORK / f"{'axum' if name == 'gin' else 'service' if name == 'floor' else name}.ids"
            first = ids.read_text().split("\n", 1)[0]
            own = {
                "health": Request("/health" if api else "/noop"),
                "cached read": Request(f"/api/orders/{first}" if api else "/redis/document"),
                "uncached read": Request(mode="ids", settings={"ids": ids, "prefix": "/api/orders/" if api else "/read/"}),
                "create 1": Request(mode="create", settings={"lines": 1}) if api else Request("/create/1"),
                "create 3": Request(mode="create", settings={"lines": 3}) if api else Request("/create/3"),
                "status change": Request(mode="status", settings={"ids": ids}) if api else
                Request(mode="ids", settings={"ids": ids, "prefix": "/status/"}),
                "list of 20": Request(f"/api/users/{LIST_USER}/orders?page=1&page_size=20" if api else
                                      f"/page-text/{LIST_USER}"),
                "page deep inside": Request(f"/api/orders?page={deep}&page_size=20" if api else
                                            f"/page-deep/{(deep - 1) * 20}"),
            }
            for load_name, request in own.items():
                table.setdefault(load_name, {})[name] = request
        return table

    def run(self, load_name: str, name: str, request: Request, seconds: int, connections: int, **settings) -> dict:
        """One run of one load against one contender."""
        server, more = self.contenders[name], request.settings | settings
        if load_name == "status change" and name != "floor":
            # Each order can change three times; those that have are made new.
            sql("ADMIN_URL" if name == "service" else "PEERS_ADMIN_URL",
                "update orders set status = 'pending' where status <> 'pending'")
        reads = load_name.endswith("cached read") and name != "floor"
        with Cache(name, evict=reads and load_name == "uncached read") as cache:
            before = server.cpu_us()
            sample = load(server.address, request.path, seconds=seconds, connections=connections,
                          mode=request.mode, **more)
            # What an instance still does for its last responses belongs to them.
            time.sleep(0.15)
            sample["cpu_us"] = (server.cpu_us() - before) / max(sample["requests"], 1)
        if reads:
            sample["hits"] = cache.hits
        return sample


class Cache:
    """A contender's cache during a load: dropped ten times a second, where it is to be, so that ids which
    come in turn are never found; and which share of the look-ups found something."""

    def __init__(self, name: str, evict: bool):
        self.index, self.evict, self.over, self.hits = INDEXES[name], evict, threading.Event(), None

    def __enter__(self):
        try:
            self.redis, self.dropping = Redis(self.index), threading.Thread(target=self.drop)
            self.before = self.redis.lookups()
        except OSError:
            # Redis is stopped on purpose: there is nothing to drop, and nothing is found.
            self.redis = None
            return self
        if self.evict:
            self.dropping.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        if self.redis and self.evict:
            self.dropping.join()
        if self.redis:
            hits, misses = (after - before for after, before in zip(self.redis.lookups(), self.before))
            self.hits = hits / max(hits + misses, 1)

    def drop(self):
        while not self.over.wait(0.1):
            self.redis.command("FLUSHDB")


def as_rows(documents: list[dict]) -> str:
    """The rows of floor_documents."""
    rows = io.StringIO()
    writer = csv.writer(rows)
    for document in documents:
        body = {name: value for name, value in document.items() if name not in ("status", "version", "updated_at")}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))[:-1]
        writer.writerow([document["id"], document["user_id"], document["created_at"], text, document["status"],
                         document["version"], document["updated_at"]])
    return rows.getvalue()
