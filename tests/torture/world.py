"""What is tortured: Postgres, Redis, the product service, the host with the order service on it,
and the stock keeper. Each is a process that can be killed and started again."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 120


class Server:
    """A process. It stays in our process group, so that whoever ends the group ends it too."""

    def __init__(self, name, command, log, is_ready=lambda: True, environment=None):
        self.name, self.command, self.is_ready = name, command, is_ready
        self.log, self.environment = log, os.environ | (environment or {})
        self.process, self.lock = None, threading.Lock()

    def start(self):
        """Starts it and waits until it is ready. One that ends at once is started again: Postgres
        does not start while a session of its predecessor is still there."""
        with self.lock:
            limit = time.monotonic() + START_LIMIT_S
            while time.monotonic() < limit:
                if self.process is None or self.process.poll() is not None:
                    with open(self.log, "ab") as log:
                        self.process = subprocess.Popen(
                            self.command, cwd=ROOT, env=self.environment,
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        )
                if self.is_ready():
                    return
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not start: see {self.log}")

    def end(self, number=signal.SIGKILL):
        """Ends the process, and with SIGKILL its children too: `spin up` has one."""
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                return
            victims = [self.process.pid]
            if number == signal.SIGKILL:
                victims += children(self.process.pid)
            for pid in victims:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            self.process.wait(20)


def children(parent):
    """The processes below `parent` that are of its own session; those of Postgres are not."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1]), int(fields[3])
    session = parents.get(parent, (0, 0))[1]
    found, front = [], [parent]
    while front:
        front = [pid for pid, (above, of) in parents.items() if above in front and of == session]
        found += front
    return found


def http_ok(address):
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def host_command(program):
    """Serves the component; the address follows."""
    return [program, "up", "--from", "spin.toml", "--runtime-config-file", "runtime-config.toml", "--listen"]


def ask_redis(address, *words):
    """The first line of Redis's reply; nothing when it does not reply. The address is a password and a port."""
    password, _, port = address.partition(" ")
    request = b"".join(
        b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in command)
        for command in (("AUTH", password), words)
    )
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=2) as connection:
            connection.sendall(request)
            replies = connection.makefile("r")
            return [replies.readline().strip() for _ in range(2)][1]
    except OSError:
        return None


class World:
    """All of it, by the settings that scripts/torture has made."""

    def __init__(self, folder, fail_percent):
        self.folder = Path(folder)
        self.address, self.products_address = os.environ["TORTURE_ADDRESS"], os.environ["TORTURE_PRODUCTS_ADDRESS"]
        self.orders_url = f"http://{self.address}"
        self.products_url = f"http://{self.products_address}"
        self.database_url = os.environ["TORTURE_DATABASE_URL"]
        host = [*host_command(os.environ["TORTURE_HOST"]), self.address]
        products = ["target/debug/sample-products", "--listen", self.products_address, "--fail", str(fail_percent)]
        self.postgres = self.server("postgres", setting("POSTGRES"), self.postgres_answers)
        self.redis = self.server("redis", setting("REDIS"), lambda: self.redis_command("PING") == "+PONG")
        self.products = self.server("products", products, lambda: http_ok(self.products_address))
        self.host = self.server("host", host, lambda: http_ok(self.address),
                                {"SPIN_VARIABLE_PRODUCT_SERVICE_URL": self.products_url})
        self.keeper = self.server("keeper", self.keeper_command("run"))

    def server(self, name, command, *more):
        return Server(name, command, self.folder / f"{name}.log", *more)

    def keeper_command(self, *command):
        return [sys.executable, "-B", "examples/stock-keeper/keeper.py", "--orders", self.orders_url,
                "--products", self.products_url, "--file", str(self.folder / "keeper.sqlite"), *command]

    def all(self):
        return [self.postgres, self.redis, self.products, self.host, self.keeper]

    def start(self):
        for server in self.all():
            server.start()

    def end(self):
        for server in reversed(self.all()):
            server.end(signal.SIGINT if server is self.postgres else signal.SIGKILL)

    def postgres_answers(self):
        command = ["psql", "-qAtX", "-c", "select 1", self.database_url]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def redis_command(self, *words):
        return ask_redis(os.environ["TORTURE_REDIS_ADDRESS"], *words)


def setting(name):
    """A command, one word a line."""
    return os.environ[f"TORTURE_{name}"].splitlines()

