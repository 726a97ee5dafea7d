"""The service in front of a Postgres and a Redis that refuse whoever does not encrypt: it reaches
both when it can check who they are, and neither when it cannot. scripts/check-tls starts them."""

import json
import os
import socket
import subprocess
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from world import Server, host_command, http_ok

ADDRESS, PRODUCTS = os.environ["TLS_ADDRESS"], os.environ["TLS_PRODUCTS_ADDRESS"]
FOLDER, SECRET = Path(os.environ["TLS_FOLDER"]), os.environ["TLS_SECRET"]
POSTGRES_PORT, REDIS_PORT = os.environ["TLS_POSTGRES_PORT"], os.environ["TLS_REDIS_PORT"]
# What the servers' certificates say; `localhost` is the same machine by another name.
NAME, OTHER_NAME = "127.0.0.1", "localhost"
SAMPLE = {"user_id": "u1", "shipping_address": "1 Main Street",
          "order_items": [{"product_id": "p1", "quantity": 2}]}


def database_url(host, mode, user="order_service"):
    return f"postgres://{user}:{SECRET}@{host}:{POSTGRES_PORT}/orders?sslmode={mode}"


def redis_url(host, scheme="rediss"):
    return f"{scheme}://:{SECRET}@{host}:{REDIS_PORT}/0"


def settings(**changes):
    """Of a service that trusts our authority, for Postgres by its own setting; Redis has none."""
    chosen = {"database_url": database_url(NAME, "require"), "database_host": f"{NAME}:{POSTGRES_PORT}",
              "redis_url": redis_url(NAME), "redis_host": f"{NAME}:{REDIS_PORT}",
              "database_ca": (FOLDER / "ca.pem").read_text(), "request_timeout_ms": "2000",
              "product_service_url": f"http://{PRODUCTS}"} | changes
    return {f"SPIN_VARIABLE_{name.upper()}": value for name, value in chosen.items()}


def psql(mode, sql):
    url = database_url(NAME, mode, "postgres")
    return subprocess.run(["psql", "-qAtX", "-c", sql, url], capture_output=True, text=True, check=False)


def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{ADDRESS}{path}", data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.load(reply), reply.headers
    except urllib.error.HTTPError as reply:
        return reply.code, json.load(reply), reply.headers


class Tls(unittest.TestCase):
    def serve(self, authorities="ca.pem", **changes):
        command = [*host_command(os.environ["TLS_HOST"]), ADDRESS]
        # The authorities of the whole host, as a container has them by its image.
        environment = settings(**changes) | {"SSL_CERT_FILE": str(FOLDER / authorities)}
        self.log = FOLDER / f"{self._testMethodName}.log"
        host = Server("host", command, self.log, lambda: http_ok(ADDRESS), environment)
        self.addCleanup(host.end)
        host.start()
        return host

    def assert_states(self, **expected):
        status, ready, _ = call("/ready")
        self.assertEqual(status, 200, ready)
        self.assertEqual({name: ready["data"][name]["state"] for name in expected}, expected)

    def assert_no_database(self, *reasons):
        """Neither an order nor a secret gets through, and the log says why."""
        status, answer, headers = call("/ready")
        self.assertEqual((status, answer["code"]), (503, "not_ready"))
        status, answer, headers = call("/api/orders", SAMPLE)
        self.assertEqual((status, answer["code"]), (503, "database_unavailable"))
        self.assertGreater(int(headers["retry-after"]), 0)
        log = self.log.read_text()
        self.assertTrue(any(reason in log for reason in reasons), log[-2000:])
        self.assertNotIn(SECRET, log + json.dumps(answer))

    def test_the_servers_refuse_whoever_does_not_encrypt(self):
        refused = psql("disable", "select 1")
        self.assertIn("no encryption", refused.stderr)
        self.assertEqual(psql("require", "select 1").stdout.strip(), "1")
        with socket.create_connection((NAME, int(REDIS_PORT)), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            try:
                answer = connection.recv(100)
            except ConnectionError:
                answer = b""
            self.assertNotIn(b"PONG", answer)

    def test_everything_is_reached_and_encrypted(self):
        self.serve()
        self.assert_states(database="up", cache="up")
        status, created, _ = call("/api/orders", SAMPLE)
        self.assertEqual(status, 201, created)
        for _ in range(3):
            status, read, _ = call(f"/api/orders/{created['data']['id']}")
            self.assertEqual((status, read["data"]), (200, created["data"]))
        used = psql("require", "select count(*) filter (where ssl), count(*) from pg_stat_ssl"
                               " join pg_stat_activity using (pid) where usename = 'order_service'")
        encrypted, all_of_them = used.stdout.strip().split("|")
        self.assertGreater(int(encrypted), 0)
        self.assertEqual(encrypted, all_of_them)

    def test_an_authority_of_the_host_is_enough_for_postgres_too(self):
        self.serve(database_ca="")
        self.assert_states(database="up", cache="up")

    def test_a_postgres_of_another_authority_is_not_talked_to(self):
        self.serve("other-ca.pem", database_ca="")
        self.assert_no_database("certificate", "UnknownIssuer")

    def test_a_postgres_of_another_name_is_not_talked_to(self):
        self.serve(database_url=database_url(OTHER_NAME, "require"),
                   database_host=f"{OTHER_NAME}:{POSTGRES_PORT}")
        self.assert_no_database("certificate", "not valid for name")

    def test_a_postgres_that_demands_tls_is_not_reached_without(self):
        self.serve(database_url=database_url(NAME, "disable"))
        self.assert_no_database("no encryption")

    def test_a_text_that_is_no_certificate_is_told(self):
        self.serve(database_ca="not a certificate")
        self.assert_no_database("certificate")

    def test_orders_go_on_without_a_redis_that_cannot_be_trusted(self):
        for changes in (
            {"authorities": "other-ca.pem"},
            {"redis_url": redis_url(OTHER_NAME), "redis_host": f"{OTHER_NAME}:{REDIS_PORT}"},
            {"redis_url": redis_url(NAME, "redis")},
        ):
            with self.subTest(changes):
                host = self.serve(**changes)
                self.assert_states(database="up", cache="down")
                status, created, _ = call("/api/orders", SAMPLE)
                self.assertEqual(status, 201, created)
                status, read, _ = call(f"/api/orders/{created['data']['id']}")
                self.assertEqual((status, read["data"]), (200, created["data"]))
                host.end()


if __name__ == "__main__":
    unittest.main()
