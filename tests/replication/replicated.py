"""A primary, a standby that follows it, and the service with both: once with `database_read_url`, once
without. scripts/check-replication makes the settings."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid
from pathlib import Path

# Of tests/torture.
from client import Api
from world import Server, ask_redis, host_command, http_ok

FOLDER = Path(os.environ["FOLDER"])
PATIENCE_S = 20


def until(what, condition, limit_s=PATIENCE_S):
    """Waits until the condition gives something true, and gives that back."""
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"in {limit_s} s: {what}")


class Postgres(Server):
    """One of the two. What can be done to a board is done to all its processes."""

    def __init__(self, name):
        self.url = os.environ[f"{name.upper()}_URL"]
        command = os.environ[f"{name.upper()}_COMMAND"].splitlines()
        super().__init__(name, command, FOLDER / f"{name}.log", self.answers)

    def run(self, statement, *options):
        command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", *options, "-c", statement, self.url]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def sql(self, statement):
        done = self.run(statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def answers(self):
        return self.run("select 1").returncode == 0

    def set(self, name, value):
        self.sql(f"alter system set {name} = '{value}'")
        self.sql("select pg_reload_conf()")

    def signal(self, number):
        """To the first process and to all that it has started."""
        first = self.process.pid
        below = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)
        for pid in [first, *map(int, below.stdout.split())]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)


class World:
    def __init__(self):
        self.clients = []
        self.primary, self.standby = Postgres("primary"), Postgres("standby")
        self.products = self.server("products", ["target/debug/sample-products", "--listen"], "PRODUCTS_ADDRESS", {})
        host = host_command(os.environ["HOST_PROGRAM"])
        reads = {"SPIN_VARIABLE_DATABASE_READ_URL": os.environ["DATABASE_READ_URL"]}
        self.host = self.server("host", host, "ADDRESS", reads)
        self.plain = self.server("plain", host, "PLAIN_ADDRESS", {})

    @staticmethod
    def server(name, command, address, environment):
        address = os.environ[address]
        return Server(name, [*command, address], FOLDER / f"{name}.log", lambda: http_ok(address), environment)

    def start(self):
        self.primary.start()
        backup = [*os.environ["BACKUP_COMMAND"].splitlines(), f"--dbname={self.primary.url}"]
        subprocess.run(backup, check=True)
        for server in (self.standby, self.products, self.host, self.plain):
            server.start()

    def end(self):
        for client in self.clients:
            client.close()
        for server in (self.plain, self.host, self.products, self.standby, self.primary):
            if isinstance(server, Postgres) and server.process and server.process.poll() is None:
                server.signal(signal.SIGCONT)
            server.end(signal.SIGINT if isinstance(server, Postgres) else signal.SIGKILL)

    def client(self, plain=False):
        client = Client(os.environ["PLAIN_ADDRESS" if plain else "ADDRESS"])
        self.clients.append(client)
        return client

    def catch_up(self):
        """Waits until the standby shows all that the primary has ended."""
        end = self.primary.sql("select pg_snapshot_xmax(pg_current_snapshot())")
        reached = f"select pg_snapshot_xmin(pg_current_snapshot()) >= '{end}'::xid8"
        until("the standby follows", lambda: self.standby.sql(reached) == "t")

    def replay(self, goes_on):
        self.standby.sql(f"select pg_wal_replay_{'resume' if goes_on else 'pause'}()")
        if not goes_on:
            until("replay pauses", lambda: self.standby.sql("select pg_get_wal_replay_pause_state()") == "paused")

    def statements(self):
        """How many lists the standby has been asked for."""
        return self.standby.log.read_text(errors="replace").count("having pg_snapshot_xmin")


class Client(Api):
    """A client of the service, for one thread."""

    def __init__(self, address):
        super().__init__(address, time.monotonic)

    def get(self, path):
        reply = self.ask("GET", path)
        assert reply and reply.status == 200, f"{path}: {reply and reply.text}"
        return reply

    def create(self, user, key=None):
        """The reply to a creation; none if there is no telling what became of it."""
        body = {"user_id": user, "shipping_address": "1 Main St",
                "order_items": [{"product_id": "p1", "quantity": 1}]}
        return self.ask("POST", "/api/orders", json.dumps(body), {"Idempotency-Key": key or str(uuid.uuid4())})

    def change(self, order_id, status):
        if status == "cancelled":
            return self.ask("POST", f"/api/orders/{order_id}/cancel")
        return self.ask("PATCH", f"/api/orders/{order_id}/status", json.dumps({"status": status}))

    def orders(self, user, **filters):
        """All orders of a user and what the list says is their number."""
        query = urllib.parse.urlencode({"page_size": 100, **filters})
        document = self.get(f"/api/users/{user}/orders?{query}").document
        return {order["id"]: order for order in document["data"]}, document["pagination"]["total"]


class Counts:
    """What the service has counted since this was made."""

    def __init__(self, client):
        self.client, self.before = client, {}
        time.sleep(0.3)  # What is counted is in Redis a tenth of a second later.
        self.before = self.all()

    def all(self):
        host, port = self.client.host, self.client.port
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\d+)", text, re.MULTILINE)
        return {name: int(value) - self.before.get(name, 0) for name, value in found}

    def lists(self):
        """By what became of the wish to let the replica answer, when nothing more is counted."""
        results, found = ("served", "behind", "failed", "skipped"), None
        while True:
            time.sleep(0.3)
            counts, before = self.all(), found
            found = {result: counts.get(f'replica_reads_total{{result="{result}"}}', 0) for result in results}
            if found == before:
                return found

    def refused(self):
        return self.all().get("http_server_requests_refused_total", 0)


def redis(*words):
    """The first line of Redis's reply."""
    return ask_redis(os.environ["REDIS_ADDRESS"], *words)
