#!/usr/bin/env python3
"""Keeps the stock at the product service in step with the orders.

It follows the order service's change feed. Of each new order it takes the stock, and then
confirms the order, or cancels it with the reason `insufficient_stock`. Whoever cancels an order,
its stock goes back.

This program may be killed at any moment, and so may both services. Still nothing is taken twice
and nothing is forgotten, because of four rules:

1. What the feed tells, and how far it was read, are written down together (`Ledger.note`).
2. What will be done is written down before it is done, and what came of it afterwards
   (`Keeper.ask_stock`).
3. What may have been done already is asked for again under the same Idempotency-Key, under which
   the product service does it once.
4. What to do next follows from what is written down and from nothing else (`Keeper.settle`), so
   that going on after a kill is no special case.

A product service that does not know such keys cannot be asked twice: what it did not answer stays
in doubt until a person decides (`keeper.py list`, `keeper.py decide`). docs/integrating.md
explains all of this step by step.

Away for longer than the feed keeps its events, it settles what is written down, and ends. Never
give it a new file then: `keeper.py run --begin-again` goes through the orders instead, and keeps
what it has done for them. It cannot see orders that came and were delivered meanwhile, and takes
up again what a person has left out (`keeper.py forget`) and is still open.
"""

import argparse
import fcntl
import http.client
import json
import logging
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

# For so long the order service may hold its answer back when there is nothing new.
FEED_WAIT_S = 20
FEED_LIMIT = 500
TIMEOUT_S = 10
# An order that failed waits, twice as long each time, up to the second figure.
RETRY_S, RETRY_MAX_S = 0.25, 30
# The answers that refuse stock. Since a refusal cancels the order, the partner has to name it: the
# 404 of some proxy must not do.
REFUSALS = {"insufficient_stock", "unknown_product"}
# What an operation is called at the product service, while it is under way, and when it is done.
TAKE, GIVE_BACK = ("subtract", "taking", "taken"), ("add", "returning", "returned")

log = logging.getLogger("stock-keeper")


class Failed(Exception):
    """Nothing came of it now; later it may. The request may or may not have had its effect."""


class NotDone(Failed):
    """The same, and it certainly had no effect: it was never sent, or it was turned away."""


class Lost(Exception):
    """The feed has nothing for our cursor, and asking again would not help."""


class Service:
    """A service that speaks JSON. Each request has a connection of its own, so that one that
    cannot be opened means that nothing was sent."""

    def __init__(self, url, token=None):
        self.url = urlsplit(url)
        is_secure = self.url.scheme == "https"
        self.kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        self.headers = {"Connection": "close", "Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method, path, body=None, headers=None, timeout_s=TIMEOUT_S):
        """The status and the document of the answer, when it is one that a request can have."""
        connection = self.kind(self.url.hostname, self.url.port, timeout=timeout_s)
        headers = self.headers | (headers or {})
        body = None if body is None else json.dumps(body)
        try:
            connection.connect()
        except OSError as error:
            raise NotDone(f"{self.url.netloc}: {error}") from error
        try:
            connection.request(method, self.url.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            if response.status in (401, 403, 429):
                raise NotDone(f"{method} {path}: {response.status}")
            if response.status >= 500:
                raise Failed(f"{method} {path}: {response.status}")
            document = json.loads(response.read())
            if response.status >= 300 and not isinstance(document, dict):
                raise Failed(f"{method} {path}: {response.status} {document!r}")
            return response.status, document
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failed(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()


class Ledger:
    """What is written down. Each method is one transaction, which a kill cannot split."""

    def __init__(self, file):
        # No statements are kept: from Python 3.12 on threads with the same one may mix up its values.
        self.sql = sqlite3.connect(file, isolation_level=None, timeout=10, check_same_thread=False,
                                   cached_statements=0)
        self.sql.row_factory = sqlite3.Row
        # A commit is on the disk before we go on: an intent outlives a power cut too.
        self.sql.executescript(
            "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;"
            + Path(__file__).with_name("schema.sql").read_text()
        )

    def rows(self, statement, values=()):
        return self.sql.execute(statement, values).fetchall()

    def note(self, events, cursor):
        """Writes down what a page of the feed tells, and that it was read. What is written down
        about a new order already stays."""
        self.sql.execute("begin immediate")
        for event in events:
            is_new = event["type"] == "order.created"
            (self.plan if is_new else self.see)(event["order"])
        self.rows("update feed set cursor = ?", (cursor,))
        self.sql.execute("commit")

    def plan(self, order):
        self.rows("insert into orders (id, status, version, due) values (:id, :status, :version, :now)"
                  " on conflict do nothing", order | {"now": time.time()})
        quantities = Counter()
        for item in order["order_items"]:
            quantities[item["product_id"]] += item["quantity"]
        for line, move in enumerate(quantities.items(), 1):
            self.rows("insert into moves (order_id, line, product_id, quantity) values (?, ?, ?, ?)"
                      " on conflict do nothing", (order["id"], line, *move))

    def see(self, order):
        """Takes note of what an order has become. One that is not here was there before us, or we
        are done with it."""
        self.rows("update orders set status = :status, version = :version, due = :now, attempts = 0"
                  " where id = :id", order | {"now": time.time()})

    def due(self):
        return self.rows("select * from orders where due <= ? order by due, id limit 100", (time.time(),))

    def seconds_to_next(self):
        (earliest,) = self.rows("select min(due) from orders")[0]
        return None if earliest is None else max(0.0, earliest - time.time())

    def moves(self, order_id):
        return self.rows("select * from moves where order_id = ? order by line", (order_id,))

    def moved(self, move, state):
        self.rows("update moves set state = ? where order_id = ? and line = ?",
                  (state, move["order_id"], move["line"]))

    def rest(self, order, trouble=None):
        """There is nothing to do until the feed tells something new, or a person decides."""
        self.rows("update orders set due = null, trouble = ? where id = ?", (trouble, order["id"]))

    def postpone(self, order):
        wait_s = min(RETRY_S * 2 ** min(order["attempts"], 10), RETRY_MAX_S)
        self.rows("update orders set due = ?, attempts = attempts + 1 where id = ?",
                  (time.time() + wait_s, order["id"]))

    def forget(self, order_id):
        self.rows("delete from orders where id = ?", (order_id,))

    def troubles(self):
        """What a person should look at: what is in doubt, and what fails again and again."""
        return self.rows(
            "select order_id, line, product_id, quantity, state, status, attempts, trouble"
            " from orders join moves on order_id = id"
            " where trouble is not null or attempts >= 10 order by order_id, line"
        )

    def decide(self, order_id, line, was_done):
        """A person has found out whether the product service did what it was asked."""
        after = {("taking", True): "taken", ("taking", False): "planned",
                 ("returning", True): "returned", ("returning", False): "taken"}
        for move in self.moves(order_id):
            if move["line"] == line and (move["state"], was_done) in after:
                self.sql.execute("begin immediate")
                self.moved(move, after[move["state"], was_done])
                self.rows("update orders set due = 0, attempts = 0, trouble = null where id = ?", (order_id,))
                self.sql.execute("commit")
                return True
        return False


class Keeper:
    def __init__(self, ledger, orders, products, stock_path, has_keys, begins_again=False, workers=8):
        self.ledger, self.orders, self.products = ledger, orders, products
        self.begins_again = begins_again
        self.stock_path, self.has_keys, self.workers = stock_path, has_keys, workers

    def run(self, once=False):
        """Reads and settles for ever; or until there is nothing left to read and to do."""
        while True:
            to_next = self.ledger.seconds_to_next()
            wait_s = 0 if once else int(min(FEED_WAIT_S, FEED_WAIT_S if to_next is None else to_next))
            try:
                count = self.read(wait_s)
            except Failed as error:
                log.warning("the feed: %s", error)
                count, wait_s = None, 0
            except Lost as error:
                while self.settle_due():
                    pass
                sys.exit(f"stock-keeper: {error}")
            settled = self.settle_due()
            to_next = self.ledger.seconds_to_next()
            if once and count == settled == 0 and to_next is None:
                return
            if not count and wait_s == 0:
                time.sleep(min(1, RETRY_S if to_next is None else to_next))

    def read(self, wait_s):
        """Writes the next page of the feed down, and tells how many events it had."""
        cursor = self.ledger.rows("select cursor from feed")[0]["cursor"]
        after = "" if cursor is None else "&after=" + quote(cursor, safe="")
        path = f"/api/events?limit={FEED_LIMIT}&wait={wait_s}{after}"
        status, page = self.orders.ask("GET", path, timeout_s=wait_s + TIMEOUT_S)
        if status == 410 and self.begins_again:
            self.begin_again()
            return self.read(wait_s)
        if status != 200:
            way_out = " (run --begin-again)" if status == 410 else ""
            raise Lost(f"the feed answers {status}{way_out}: {page.get('message')}")
        self.ledger.note(page["data"], page["pagination"]["next_cursor"])
        return len(page["data"])

    def begin_again(self):
        """Goes through the orders, since the feed no longer tells what became of them, and lets it
        be read from where it begins now: behind everything that we have read."""
        events = []
        for row in self.ledger.rows("select id from orders"):
            status, reply = self.orders.ask("GET", f"/api/orders/{row['id']}")
            if status == 200:
                events.append({"type": "order.read", "order": reply["data"]})
        # Those that we do not know. In this order, so that none slips past that goes on meanwhile.
        for wanted in ("pending", "confirmed", "shipped"):
            after = ""
            while after is not None:
                path = f"/api/orders?status={wanted}&page_size=100{after}"
                status, page = self.orders.ask("GET", path)
                if status != 200:
                    raise Failed(f"GET {path}: {status} {page.get('message')}")
                events += ({"type": "order.created", "order": order} for order in page["data"])
                cursor = page["pagination"]["next_cursor"]
                after = cursor and "&cursor=" + quote(cursor, safe="")
        self.ledger.note(events, None)

    def settle_due(self):
        """Takes up the orders that are due, several at a time, and tells how many they were. After
        as many failures the others wait for the next round, so that a partner that hangs is not
        asked a hundred times in a row."""
        failures = []

        def settle(order):
            try:
                if len(failures) < self.workers:
                    self.settle(order)
            except Failed as error:
                failures.append(error)
                log.warning("order %s: %s", order["id"], error)
                self.ledger.postpone(order)

        due = self.ledger.due()
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(settle, due))
        return len(due)

    def settle(self, order):
        """Does what an order needs, by what is written down about it."""
        status, states = order["status"], set()
        for move in self.ledger.moves(order["id"]):
            states.add(self.settle_move(move, status == "cancelled"))
            if "refused" in states and status != "cancelled":
                break
        if not states.isdisjoint(("taking", "returning")):
            self.ledger.rest(order, "in doubt: was it done?")
        elif status == "cancelled" or (status == "delivered" and "refused" not in states):
            self.ledger.forget(order["id"])
        elif "refused" in states and status in ("pending", "confirmed"):
            self.change(order, "POST", "cancel", {"reason": "insufficient_stock"})
        elif "refused" in states:
            self.ledger.rest(order, "shipped without its stock")
        elif status == "pending":
            self.change(order, "PATCH", "status", {"status": "confirmed"})
        else:
            self.ledger.rest(order)

    def settle_move(self, move, is_cancelled):
        """Takes the stock of a move, or gives it back, and returns the state it is left in."""
        state = move["state"]
        # Cancelled while we may have been taking: only the answer tells whether to give back.
        if state == "taking" or (state == "planned" and not is_cancelled):
            state = self.ask_stock(move, state, TAKE)
        if is_cancelled and state in ("taken", "returning"):
            state = self.ask_stock(move, state, GIVE_BACK)
        return state

    def ask_stock(self, move, state, what):
        """Has the product service do it, once. Returns the new state; the state that it was in
        when that is in doubt and the product service cannot be asked again."""
        operation, under_way, done = what
        if state == under_way and not self.has_keys:
            return state
        self.ledger.moved(move, under_way)
        path = self.stock_path.replace("{id}", quote(move["product_id"], safe=""))
        body = {"operation": operation, "quantity": move["quantity"]}
        key = {"Idempotency-Key": f"{operation}:{move['order_id']}:{move['line']}"}
        try:
            status, reply = self.products.ask("POST", path, body, key)
            if status // 100 == 2:
                state = done
            elif what is TAKE and reply.get("code") in REFUSALS:
                state = "refused"
            else:
                raise NotDone(f"POST {path}: {status} {reply.get('message')}")
        except NotDone:
            self.ledger.moved(move, state)
            raise
        self.ledger.moved(move, state)
        return state

    def change(self, order, method, path, body):
        """Changes an order, unless it is no longer the one that we know."""
        path = f"/api/orders/{order['id']}/{path}"
        status, reply = self.orders.ask(method, path, body, {"If-Match": f'"{order["version"]}"'})
        if status in (200, 409, 412):
            # Or somebody was first; perhaps we ourselves, and the answer was lost. The feed will tell.
            self.ledger.rest(order)
            log.info("order %s at version %d: %s is answered %d", order["id"], order["version"], body, status)
        elif status == 404:
            self.ledger.rest(order, "the order is gone")
        else:
            raise Failed(f"{method} {path}: {status} {reply.get('message')}")


def arguments():
    setting = os.environ.get
    parser = argparse.ArgumentParser(description="Keeps the stock in step with the orders.")
    parser.add_argument("--file", default=setting("KEEPER_FILE", "stock-keeper.sqlite"))
    parser.add_argument("--orders", default=setting("ORDER_SERVICE_URL", "http://127.0.0.1:8003"))
    parser.add_argument("--products", default=setting("PRODUCT_SERVICE_URL", "http://127.0.0.1:8002"))
    parser.add_argument("--stock-path", default=setting("STOCK_PATH", "/api/products/{id}/update_stock/"))
    parser.add_argument("--no-keys", action="store_true", default=setting("STOCK_KEYS") == "0")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="follow the feed")
    run.add_argument("--once", action="store_true", help="end when there is nothing left to do")
    run.add_argument("--begin-again", action="store_true",
                     help="if the feed has lost what comes after our cursor, go through the orders instead")
    commands.add_parser("list", help="what a person has to look at, as lines of JSON")
    decide = commands.add_parser("decide", help="say whether a move in doubt was done")
    forget = commands.add_parser("forget", help="leave out an order that a person has seen to")
    for command in (decide, forget):
        command.add_argument("order_id")
    decide.add_argument("line", type=int)
    decide.add_argument("was_done", choices=("done", "not-done"))
    return parser.parse_args()


def main():
    given = arguments()
    ledger = Ledger(given.file)
    if given.command == "list":
        for trouble in ledger.troubles():
            print(json.dumps(dict(trouble)))
    elif given.command == "decide":
        if not ledger.decide(given.order_id, given.line, given.was_done == "done"):
            sys.exit("stock-keeper: nothing is in doubt there")
    elif given.command == "forget":
        ledger.forget(given.order_id)
    else:
        # One at a time, or it fails here. The lock goes with the process, however it ends.
        lock = open(given.file + ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Tokens come by the environment, where no list of processes shows them.
        orders = Service(given.orders, os.environ.get("ORDER_SERVICE_TOKEN"))
        products = Service(given.products, os.environ.get("PRODUCT_SERVICE_TOKEN"))
        keeper = Keeper(ledger, orders, products, given.stock_path, not given.no_keys, given.begin_again)
        keeper.run(given.once)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Ctrl-C kills it, as anything may.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
