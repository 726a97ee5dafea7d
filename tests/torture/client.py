"""Calls to the order service, what they are counted as, and what everybody has been told."""

import http.client
import json
import threading
from collections import Counter
from decimal import Decimal


def parse(text):
    """JSON with exact decimals."""
    return json.loads(text, parse_float=Decimal)


class Reply:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text
        self.document = parse(text)
        self.data, self.code = self.document.get("data"), self.document.get("code")


class Api:
    """One client with one connection, for one thread."""

    def __init__(self, address, clock):
        self.host, self.port = address.split(":")
        self.clock, self.counts, self.connection = clock, Counter(), None

    def close(self):
        if self.connection:
            self.connection.close()

    def count(self, what):
        self.counts[int(self.clock()), what] += 1

    def ask(self, method, path, body=None, headers=None, timeout_s=10):
        """The reply; none when it stayed away, was cut off, or says that the service failed."""
        self.count("requests")
        headers = {"Content-Type": "application/json"} | (headers or {})
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, int(self.port), timeout=timeout_s)
            elif self.connection.sock:
                self.connection.sock.settimeout(timeout_s)
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            self.count("unanswered")
            return None
        if response.status >= 500:
            self.count("failed")
            return None
        reply = Reply(response.status, response.headers, text)
        if response.headers.get("Idempotent-Replayed") == "true":
            self.count("replays")
        return reply


class Told:
    """What clients were told of orders, and what of that cannot be."""

    def __init__(self):
        self.versions, self.statuses, self.violations = {}, {}, []
        self.lock = threading.Lock()

    def known(self, order_id):
        return self.versions.get(order_id, 0)

    def order(self, order, at_least=0, how=""):
        """Somebody was told what an order is at present. `at_least` is the version that had been
        told to somebody before this was asked."""
        order_id, version, status = order["id"], order["version"], order["status"]
        with self.lock:
            self.versions[order_id] = max(version, self.known(order_id))
            before = self.statuses.setdefault((order_id, version), status)
        if version < at_least:
            self.violate(f"{how}: order {order_id} was at version {at_least} and is shown at {version}")
        if before != status:
            self.violate(f"{how}: version {version} of order {order_id} was {before} and is {status}")

    def violate(self, what):
        self.violations.append(what)
