"""The processes that are measured, and what they tell about themselves. scripts/bench starts the
databases, builds everything, and says in the environment where it all is."""

import ctypes
import http.client
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "target/bench"
COMPONENT = ROOT / "target/wasm32-wasip2/release/order_service.wasm"
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


def setting(name: str) -> str:
    return os.environ[f"BENCH_{name}"]


def end_with_parent() -> None:
    """Nothing that is started here outlives a measurement that is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Server:
    """A process and its children, on a port of its own."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str] | None = None):
        self.name, self.command, self.process = name, command, None
        # With RUST_BACKTRACE the engine captures a backtrace for each of its internal errors.
        self.environment = {name: value for name, value in os.environ.items() if name != "RUST_BACKTRACE"}
        self.environment |= environment or {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self, path: str = "/health", **more: str) -> float:
        """Starts it and gives the seconds to the first 200."""
        command = [part.replace("ADDRESS", self.address) for part in self.command]
        environment = {name: value.replace("ADDRESS", self.address) for name, value in self.environment.items()}
        WORK.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with (WORK / f"{self.name}.log").open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment | more, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
                                            preexec_fn=end_with_parent)
        while time.monotonic() - began < 180:
            if self.process.poll() is not None:
                break
            try:
                if self.get(path)[0] == 200:
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.002)
        log = (WORK / f"{self.name}.log").read_text().strip()
        raise RuntimeError(f"{self.name} did not start: {log}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def get(self, path: str) -> tuple[int, bytes, float]:
        """Status, body and seconds of one request on a connection of its own."""
        host, port = self.address.split(":")
        began = time.monotonic()
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(), time.monotonic() - began
        except http.client.HTTPException as error:
            raise OSError(f"{self.name}: {error!r}") from error
        finally:
            connection.close()

    def cpu_us(self) -> int:
        """Processor time so far. `spin up` runs the application in a child, so the whole session counts."""
        return sum(int(fields[11]) + int(fields[12]) for _, fields in self.family()) * TICK_US

    def memory_mb(self) -> float:
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid, _ in self.family()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def family(self):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                yield stat.parent.name, fields


class Redis:
    """The few commands that a measurement needs."""

    def __init__(self, index: int):
        password, address = re.fullmatch(r"redis://:(.*)@(.*)", setting("REDIS_URL")).groups()
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.replies = self.socket.makefile("rb")
        self.command("AUTH", password)
        self.command("SELECT", str(index))

    def command(self, *words: str) -> str:
        parts = [word.encode() for word in words]
        request = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        self.socket.sendall(b"*%d\r\n%b" % (len(parts), request))
        head = self.replies.readline().decode().strip()
        if head.startswith("-"):
            raise RuntimeError(f"Redis: {head}")
        return self.replies.read(int(head[1:]) + 2).decode() if head.startswith("$") and head != "$-1" else head


    def lookups(self) -> tuple[int, int]:
        """How often a key was found, and how often not, in all indexes so far."""
        info = self.command("INFO", "stats")
        return tuple(int(re.search(rf"keyspace_{what}:(\d+)", info)[1]) for what in ("hits", "misses"))


def databases(verb: str, name: str) -> None:
    """Has scripts/bench `stop` or `start` postgres or redis, and waits until that is done."""
    asks, answers = 5, 6
    os.write(asks, f"{verb} {name}\n".encode())
    os.read(answers, 16)


def redis_url(index: int) -> str:
    return f"{setting('REDIS_URL')}/{index}"


def sql(database: str, statement: str, rows: str | None = None) -> str:
    """As the superuser; `rows` is what a `copy … from stdin` reads."""
    command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement, setting(database)]
    return subprocess.run(command, input=rows, capture_output=True, text=True, check=True).stdout.strip()


def spin_application(name: str, manifest: str, index: int, products: str) -> Server:
    """One application on the host that is measured, started as scripts/up does it."""
    host = setting("HOST")
    command = [host, "up", "--from", manifest, "--listen", "ADDRESS", "--runtime-config-file", "runtime-config.toml"]
    if not host.endswith("spin-standin"):
        state = WORK / f"{name}-state"
        shutil.rmtree(state, ignore_errors=True)
        command += ["--state-dir", str(state)]
    database = setting("DATABASE_URL")
    variables = {"DATABASE_URL": database, "DATABASE_HOST": re.search(r"@([^/]*)/", database)[1],
                 "REDIS_URL": redis_url(index), "REDIS_HOST": setting("REDIS_URL").rsplit("@", 1)[1],
                 "PRODUCT_SERVICE_URL": f"http://{products}"}
    return Server(name, command, {f"SPIN_VARIABLE_{key}": value for key, value in variables.items()})


def peer(name: str, index: int, products: str) -> Server | None:
    program = setting(f"{name.upper()}_PROGRAM")
    return Server(name, [program], {
        "LISTEN": "ADDRESS", "DATABASE_URL": setting("PEERS_DATABASE_URL"), "REDIS_URL": redis_url(index),
        "PRODUCT_SERVICE_URL": f"http://{products}",
    }) if program else None


def first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return (done.stdout.splitlines() or [""])[0].strip()


def host_version() -> str:
    host = setting("HOST")
    if not host.endswith("spin-standin"):
        return first_line(host, "--version")
    wasmtime = re.search(r'name = "wasmtime"\nversion = "([^"]*)"', (ROOT / "Cargo.lock").read_text())
    return f"stand-in (Wasmtime {wasmtime[1]})"


def machine() -> dict:
    """What the figures depend on besides the code."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": first_line("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed else ""),
        "host": host_version(),
        "cpu": f"{os.cpu_count()} × {model[1] if model else platform.machine()}",
        "load_average": round(os.getloadavg()[0], 1),
        "postgres": sql("ADMIN_URL", "show server_version").split()[0],
        "redis": re.search(r"redis_version:(\S*)", Redis(0).command("INFO", "server"))[1],
        "rustc": first_line("rustc", "--version").split()[1],
        "go": first_line("go", "version").split()[2].removeprefix("go") if setting("GIN_PROGRAM") else None,
    }
