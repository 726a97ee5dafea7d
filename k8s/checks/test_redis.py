"""components/redis: started as in the cluster, it refuses strangers and dangerous commands."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from manifests import ROOT

SERVER = shutil.which("redis-server")
COMPONENT = ROOT / "k8s/components/redis"
PASSWORD = "not-a-real-one"

pytestmark = pytest.mark.skipif(
    not SERVER and not os.environ.get("CI"), reason="needs redis-server (make test has it)"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, *commands):
    """Sends inline commands and returns the first line of each answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        stream = connection.makefile("rwb")
        answers = []
        for command in commands:
            stream.write(command.encode() + b"\r\n")
            stream.flush()
            answers.append(stream.readline().decode().strip())
        return answers


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """start.sh and redis.conf with other folders and on loopback."""
    folder = tmp_path_factory.mktemp("redis")
    config = (COMPONENT / "redis.conf").read_text()
    for path in ("/run/redis", "/data"):
        config = config.replace(path, str(folder))
    port = free_port()
    config += f"\nbind 127.0.0.1\nport {port}\n"
    (folder / "redis.conf").write_text(config)
    script = (COMPONENT / "start.sh").read_text()
    script = script.replace("/run/redis", str(folder)).replace("/etc/redis", str(folder))
    (folder / "start.sh").write_text(script)
    environment = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": PASSWORD}
    server = subprocess.Popen(
        ["sh", str(folder / "start.sh")], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                ask(port, "PING")
                break
            except OSError:
                time.sleep(0.05)
        assert server.poll() is None, "redis-server did not start"
        command_line = open(f"/proc/{server.pid}/cmdline").read()
        assert "redis-server" in command_line and PASSWORD not in command_line
        assert PASSWORD not in open(f"/proc/{server.pid}/environ").read()
        yield port
    finally:
        server.terminate()
        server.wait(10)


def test_nobody_gets_in_without_the_password(port):
    assert ask(port, "GET a")[0].startswith("-NOAUTH")
    assert ask(port, "AUTH wrong")[0].startswith("-WRONGPASS")


ALLOWED = ["PING", "SET order:1 x EX 300", "GET order:1", "HINCRBY metrics:a b 1", "HGETALL metrics:a",
           "PUBLISH orders.events 1", "DEL order:1", 'EVAL "return redis.call(\'PING\')" 0',
           'EVAL "return redis.call(\'HINCRBY\',KEYS[1],\'c\',1)" 1 metrics:a']
REFUSED = ["FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET requirepass", "ACL LIST", "SHUTDOWN NOSAVE",
           "REPLICAOF 127.0.0.1 1", "MODULE LIST", "MONITOR"]


@pytest.mark.parametrize("command", ALLOWED)
def test_the_service_may(port, command):
    assert not ask(port, f"AUTH {PASSWORD}", command)[1].startswith("-")


@pytest.mark.parametrize("command", REFUSED)
def test_nobody_may(port, command):
    assert ask(port, f"AUTH {PASSWORD}", command)[1].startswith("-NOPERM")
