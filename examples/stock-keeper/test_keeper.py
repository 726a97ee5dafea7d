"""The keeper against services in memory which lose answers, while users change orders at the
worst moments and the keeper is killed at every step it takes.

    python3 -m unittest discover examples/stock-keeper
"""

import logging
import random
import socket
import tempfile
import threading
import unittest
from pathlib import Path

import keeper
from keeper import Failed, Keeper, Ledger, NotDone, Service

STOCK_PATH = "/api/products/{id}/update_stock/"
NEXT = {"pending": {"confirmed", "cancelled"}, "confirmed": {"shipped", "cancelled"}, "shipped": {"delivered"}}


class Killed(BaseException):
    """What a SIGKILL looks like from inside: no handler of the keeper may see it."""


class Orders:
    """The order service by its contract, as far as the keeper needs it."""

    def __init__(self):
        self.orders, self.feed, self.trimmed, self.meddle = {}, [], 0, lambda: None

    def create(self, *items):
        order_id = f"order-{len(self.orders) + 1}"
        lines = [{"product_id": product, "quantity": quantity} for product, quantity in items]
        self.orders[order_id] = {"id": order_id, "status": "pending", "version": 1, "order_items": lines}
        self._tell(order_id, "order.created", None)
        return order_id

    def change(self, order_id, status, reason=None):
        order = self.orders[order_id]
        if status not in NEXT.get(order["status"], ()):
            return False
        before = order["status"]
        self.orders[order_id] = order | {"status": status, "version": order["version"] + 1, "reason": reason}
        self._tell(order_id, "order.status_changed", before)
        return True

    def trim(self):
        """Takes all events out of the feed that are in it."""
        self.trimmed = len(self.feed)

    def _tell(self, order_id, kind, before):
        order = self.orders[order_id]
        self.feed.append({"order_id": order_id, "sequence": order["version"], "type": kind,
                          "from": before, "to": order["status"], "order": order})

    def ask(self, method, path, body=None, headers=None, timeout_s=None):
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
        if path.startswith("/api/orders?"):
            start = int(query.get("cursor", 0))
            found = [order for order in self.orders.values() if order["status"] == query["status"]]
            after = str(start + 2) if start + 2 < len(found) else None
            return 200, {"data": found[start : start + 2], "pagination": {"next_cursor": after}}
        if path.startswith("/api/events"):
            start = int(query.get("after", self.trimmed))
            if start < self.trimmed:
                return 410, {"code": "cursor_expired", "message": "begin again without one"}
            page = self.feed[start : start + 3]
            return 200, {"data": page, "pagination": {"next_cursor": str(start + len(page))}}
        order_id, _, action = path.removeprefix("/api/orders/").partition("/")
        self.meddle()
        order = self.orders[order_id]
        if method != "GET":
            if headers["If-Match"] != f'"{order["version"]}"':
                return 412, {"code": "version_mismatch"}
            status = "cancelled" if action == "cancel" else body["status"]
            if not self.change(order_id, status, body.get("reason")):
                return 409, {"code": "invalid_status_transition"}
        return 200, {"data": self.orders[order_id]}


class Products:
    """The product service, with idempotency keys or without."""

    def __init__(self, has_keys, **stock):
        self.has_keys, self.stock, self.seen, self.effects = has_keys, stock, {}, []

    def ask(self, method, path, body=None, headers=None, timeout_s=None):
        product, key = path.split("/")[3], headers["Idempotency-Key"]
        if self.has_keys and key in self.seen:
            return self.seen[key]
        if product not in self.stock:
            return 404, {"code": "unknown_product"}
        change = body["quantity"] * (-1 if body["operation"] == "subtract" else 1)
        if self.stock[product] + change < 0:
            return 409, {"code": "insufficient_stock"}
        self.stock[product] += change
        self.effects.append(key)
        self.seen[key] = 200, {"data": {"stock": self.stock[product]}}
        return self.seen[key]


class Steps:
    """Stands between the keeper and everything it touches, and kills it or loses an answer. Once
    killed, it touches nothing more."""

    def __init__(self, inner, name, step, life):
        self.inner, self.name, self.step, self.life = inner, name, step, life

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if name != self.name:
            return found

        def step(when):
            try:
                if self.life:
                    self.step(when)
            except Killed:
                self.life.clear()
            if not self.life:
                raise Killed

        def stepping(*arguments, **named):
            step("before")
            result = found(*arguments, **named)
            step("after")
            return result

        return stepping


class World:
    def __init__(self, folder, has_keys=True, **stock):
        self.orders, self.products = Orders(), Products(has_keys, **stock)
        self.at_first, self.has_keys = dict(stock), has_keys
        self.file = str(Path(folder) / "keeper.sqlite")
        for old in Path(folder).glob("keeper.sqlite*"):
            old.unlink()

    def run(self, sql_step=lambda when: None, ask_step=lambda when: None, begins_again=False):
        """One life of the keeper; true if it lived to the end of its work."""
        ledger, life = Ledger(self.file), {"lives": True}
        connection = ledger.sql
        connection.execute("pragma synchronous = off")
        ledger.sql = Steps(connection, "execute", sql_step, life)
        orders, products = (Steps(service, "ask", ask_step, life) for service in (self.orders, self.products))
        try:
            Keeper(ledger, orders, products, STOCK_PATH, self.has_keys, begins_again, workers=1).run(once=True)
            return True
        except Killed:
            return False
        finally:
            connection.close()

    def troubles(self):
        ledger = Ledger(self.file)
        rows = [dict(row) for row in ledger.troubles()]
        ledger.sql.close()
        return rows

    def decide(self, trouble):
        """A person looks at the product service's books."""
        operation = "subtract" if trouble["state"] == "taking" else "add"
        key = f"{operation}:{trouble['order_id']}:{trouble['line']}"
        ledger = Ledger(self.file)
        decided = ledger.decide(trouble["order_id"], trouble["line"], key in self.products.effects)
        ledger.sql.close()
        return decided

    def check(self, test):
        """No stock is lost or made, and no order is left waiting."""
        expected = dict(self.at_first)
        for order in self.orders.orders.values():
            test.assertNotEqual(order["status"], "pending", order)
            short = {row["product_id"] for row in self.troubles()
                     if row["order_id"] == order["id"] and row["state"] in ("refused", "planned")}
            for item in order["order_items"]:
                if order["status"] != "cancelled" and item["product_id"] not in short:
                    expected[item["product_id"]] -= item["quantity"]
        test.assertEqual(self.products.stock, expected)
        test.assertEqual(len(self.products.effects), len(set(self.products.effects)), "something was done twice")


class KeeperTest(unittest.TestCase):
    def setUp(self):
        logging.disable(logging.CRITICAL)
        # In memory where that is possible: every commit is written through.
        folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.addCleanup(setattr, keeper, "RETRY_S", keeper.RETRY_S)
        keeper.RETRY_S = 0

    def world(self, has_keys=True, **stock):
        return World(self.folder, has_keys, **stock)

    def test_an_order_is_confirmed_when_its_stock_is_taken(self):
        world = self.world(lamp=5)
        order_id = world.orders.create(("lamp", 2), ("lamp", 1))
        world.run()
        self.assertEqual(world.orders.orders[order_id]["status"], "confirmed")
        self.assertEqual(world.products.stock, {"lamp": 2})

    def test_without_stock_the_order_is_cancelled_and_what_was_taken_goes_back(self):
        for missing in ("clock", "unknown"):
            world = self.world(lamp=5, clock=1)
            order_id = world.orders.create(("lamp", 2), (missing, 2), ("lamp", 1))
            world.run()
            order = world.orders.orders[order_id]
            self.assertEqual((order["status"], order["reason"]), ("cancelled", "insufficient_stock"))
            self.assertEqual(world.products.stock, {"lamp": 5, "clock": 1})

    def test_whoever_cancels_the_stock_goes_back_and_is_taken_never_before_that_is_known(self):
        world = self.world(lamp=5)
        kept = world.orders.create(("lamp", 2))
        world.run()
        world.orders.change(kept, "cancelled")
        cancelled_at_once = world.orders.create(("lamp", 4))
        world.orders.change(cancelled_at_once, "cancelled")
        world.run()
        self.assertEqual(world.products.stock, {"lamp": 5})
        self.assertEqual(len(world.products.effects), 2, "the second order needed nothing")

    def test_an_order_changed_between_taking_and_confirming_is_seen_as_it_is(self):
        for change, left in (("cancelled", 5), ("confirmed", 3)):
            world = self.world(lamp=5)
            order_id = world.orders.create(("lamp", 2))
            # Just before the keeper's own change arrives.
            world.orders.meddle = lambda: world.orders.change(order_id, change)
            world.run()
            self.assertEqual(world.orders.orders[order_id]["status"], change)
            self.assertEqual(world.products.stock, {"lamp": left})

    def test_an_order_shipped_without_its_stock_is_for_a_person(self):
        world = self.world(lamp=1)
        order_id = world.orders.create(("lamp", 2))
        world.orders.change(order_id, "confirmed")
        world.orders.change(order_id, "shipped")
        world.run()
        (trouble,) = world.troubles()
        self.assertEqual((trouble["trouble"], trouble["state"]), ("shipped without its stock", "refused"))
        self.assertEqual(world.products.stock, {"lamp": 1})

    def test_when_the_feed_has_lost_its_place_it_settles_what_is_written_down_before_it_ends(self):
        world = self.world(lamp=5)
        kept, given_back = world.orders.create(("lamp", 1)), world.orders.create(("lamp", 2))
        world.run()
        late = world.orders.create(("lamp", 2))
        world.orders.change(given_back, "cancelled")
        self.assertFalse(world.run(ask_step=self.kill_at(3)), "it is killed when it has read of both")
        world.orders.change(kept, "shipped")
        world.orders.trim()
        with self.assertRaisesRegex(SystemExit, "the feed answers 410 .run --begin-again"):
            world.run()
        self.assertEqual(world.orders.orders[late]["status"], "confirmed")
        self.assertEqual(world.products.stock, {"lamp": 2})

    def test_begun_again_it_takes_up_what_the_feed_has_lost_and_takes_nothing_twice(self):
        # Without keys: what it asks for again is done again.
        world = self.world(has_keys=False, lamp=20)
        _kept, cancelled, delivered = (world.orders.create(("lamp", 1)) for _ in range(3))
        world.run()
        for status in ("shipped", "delivered"):
            world.orders.change(delivered, status)
        world.run()
        self.lose(world, cancelled)
        with self.assertRaises(SystemExit):
            world.run()
        world.run(begins_again=True)
        world.run()
        world.check(self)
        self.assertEqual(world.troubles(), [])

    def test_killed_at_any_step_of_beginning_again_it_does_everything_once(self):
        for n in range(1, 10_000):
            world = self.world(lamp=20)
            _kept, cancelled = world.orders.create(("lamp", 1)), world.orders.create(("lamp", 1))
            world.run()
            self.lose(world, cancelled)
            step = self.kill_at(n)
            lived = world.run(step, step, begins_again=True)
            world.run(begins_again=True)
            world.check(self)
            if lived:
                break
        self.assertGreater(n, 100, "there were steps to be killed at")

    def lose(self, world, cancelled):
        """While the keeper is away, one of its orders is cancelled, others come and are changed, and
        the feed loses all of that but the last order."""
        world.orders.change(cancelled, "cancelled")
        confirmed, shipped, *_pending = (world.orders.create(("lamp", 1), ("lamp", 1)) for _ in range(5))
        world.orders.change(confirmed, "confirmed")
        for status in ("confirmed", "shipped"):
            world.orders.change(shipped, status)
        world.orders.change(world.orders.create(("lamp", 1)), "cancelled")
        world.orders.trim()
        world.orders.create(("lamp", 1))

    def kill_at(self, n):
        left = [n]

        def step(_when):
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        return step

    def test_killed_at_any_step_it_does_everything_once(self):
        for n in range(1, 10_000):
            world = self.world(lamp=5, clock=1)
            world.orders.create(("lamp", 2), ("clock", 1))
            world.orders.create(("lamp", 1), ("clock", 1))
            world.orders.change(world.orders.create(("lamp", 1)), "cancelled")
            late = world.orders.create(("lamp", 2))
            step = self.kill_at(n)
            lived = world.run(step, step)
            world.orders.change(late, "cancelled")
            world.run()
            world.check(self)
            if lived:
                break
        self.assertGreater(n, 100, "there were steps to be killed at")

    def test_with_kills_lost_answers_and_meddling_users_no_piece_is_lost(self):
        self.simulate(has_keys=True, rounds=100)

    def test_a_partner_without_keys_is_never_asked_twice_and_a_person_decides_the_rest(self):
        self.assertGreater(self.simulate(has_keys=False, rounds=100), 20, "something was in doubt")

    def simulate(self, has_keys, rounds):
        decisions = 0
        for seed in range(rounds):
            with self.subTest(seed=seed):
                decisions += self.simulate_one(random.Random(seed), has_keys)
        return decisions

    def simulate_one(self, chance, has_keys):
        world = self.world(has_keys, a=8, b=8, c=2)

        def sql_step(_when):
            if chance.random() < 0.005:
                raise Killed

        def ask_step(when):
            if chance.random() < 0.04:
                raise Killed
            if chance.random() < 0.08:
                raise NotDone if when == "before" else Failed

        def meddle():
            known = list(world.orders.orders)
            if chance.random() < 0.3:
                order_id = chance.choice(known)
                world.orders.change(order_id, chance.choice(["confirmed", "cancelled", "shipped", "delivered"]))
            if len(known) < 12 and chance.random() < 0.5:
                world.orders.create(*[(chance.choice("abc"), chance.randint(1, 2)) for _ in range(chance.randint(1, 3))])

        world.orders.create(("a", 1))
        world.orders.meddle = meddle
        for _ in range(40):
            world.run(sql_step, ask_step)
        world.orders.meddle = lambda: None
        world.run()
        decisions = 0
        while doubts := [row for row in world.troubles() if row["state"] in ("taking", "returning")]:
            self.assertFalse(has_keys, "with keys nothing is ever in doubt")
            for row in doubts:
                self.assertTrue(world.decide(row))
                decisions += 1
            world.run()
        world.check(self)
        return decisions


class ServiceTest(unittest.TestCase):
    """Whether something may have been done: by the answer, or by how there was none."""

    def answering(self, answer):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return Service("http://127.0.0.1:%d" % listener.getsockname()[1])

    def test_nothing_is_done_when_nobody_listens_or_the_request_is_turned_away(self):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with self.assertRaises(NotDone):
            Service(f"http://127.0.0.1:{port}").ask("POST", "/", {})
        with self.assertRaises(NotDone):
            self.answering(b"HTTP/1.1 429 Slow down\r\nContent-Length: 2\r\n\r\n{}").ask("POST", "/", {})

    def test_without_a_whole_answer_or_with_an_error_of_the_server_it_may_be_done(self):
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n<html>",
                       b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}",
                       b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnull"):
            with self.assertRaises(Failed) as caught:
                self.answering(answer).ask("POST", "/", {})
            self.assertNotIsInstance(caught.exception, NotDone, answer)


if __name__ == "__main__":
    unittest.main()
