"""The checker finds what it is there to find: each test plants one thing that must not be.

    python3 -m unittest discover tests/torture"""

import copy
import unittest

import check
from client import Told

LINES = [{"product_id": "p1", "quantity": 2, "unit_price": "1.50", "subtotal": "3.00"}]


def walk(order_id, *statuses):
    return [{"order_id": order_id, "sequence": number, "from": before, "to": after}
            for number, (before, after) in enumerate(zip((None, *statuses), statuses), 1)]


def order(order_id, user, key, status, version):
    return {"id": order_id, "user_id": user, "key": key, "status": status, "version": version, "total": "3.00",
            "shipping_address": "a", "billing_address": "a", "notes": None, "is_body_true": True,
            "lines": copy.deepcopy(LINES)}


def answer(order_id, user):
    return ('{"status":"success","data":{"id":"%s","user_id":"%s","status":"pending","version":1,"total_amount":3.00,'
            '"shipping_address":"a","billing_address":"a","notes":null,"order_items":'
            '[{"product_id":"p1","quantity":2,"unit_price":1.50,"subtotal":3.00}]}}' % (order_id, user))


class CheckTest(unittest.TestCase):
    def setUp(self):
        wanted = {"user_id": "u", "notes": None, "order_items": [{"product_id": "p1", "quantity": 2}]}
        self.wishes = [
            {"key": "k1", "user": "u", "request": wanted, "created": [answer("A", "u")], "refused": None},
            {"key": "k2", "user": "u", "request": wanted, "created": [answer("B", "u")], "refused": None},
            {"key": "k3", "user": "u", "request": wanted, "created": [], "refused": "insufficient_stock"},
        ]
        self.orders = [order("A", "u", "k1", "confirmed", 2), order("B", "u", "k2", "cancelled", 2)]
        self.events = walk("A", "pending", "confirmed") + walk("B", "pending", "cancelled")
        self.told = [{"order_id": "A", "version": 2, "status": "confirmed"}]
        read = [event | {"id": n, "type": "order.created" if event["sequence"] == 1 else "order.status_changed"}
                for n, event in enumerate(self.events)]
        self.feeds = {"reader-0": read, "reader-1": copy.deepcopy(read)}
        self.shelves, self.troubles = {"p1": (10, 0, 8)}, []

    def violations(self):
        return list(check.all_violations(self.wishes, self.told, self.feeds, self.shelves, self.troubles,
                                         self.orders, self.events))

    def assert_found(self, *words):
        found = self.violations()
        self.assertTrue(any(all(word in line for word in words) for line in found), found)

    def test_nothing_is_wrong_with_what_is_right(self):
        self.assertEqual(self.violations(), [])

    def test_a_lost_order(self):
        del self.orders[0]
        self.assert_found("k1", "0 orders")

    def test_a_doubled_order(self):
        self.orders.append(self.orders[0] | {"id": "C"})
        self.assert_found("k1", "2 orders")

    def test_an_order_that_nobody_wished_for(self):
        self.orders.append(order("C", "u", None, "confirmed", 1))
        self.assert_found("never wished for")

    def test_an_order_of_which_its_client_was_told_that_it_was_refused(self):
        self.orders.append(order("C", "u", "k3", "pending", 1))
        self.assert_found("k3", "insufficient_stock")

    def test_a_wish_without_an_answer(self):
        self.wishes[2]["refused"] = None
        self.assert_found("k3", "never answered")

    def test_a_replay_that_differs(self):
        self.wishes[0]["created"].append(answer("A", "u").replace("3.00", "4.00"))
        self.assert_found("k1", "2 different ways")

    def test_content_that_differs(self):
        for field, value in (("shipping_address", "b"), ("notes", "n"), ("total", "3.01"), ("id", "C")):
            with self.subTest(field):
                kept = self.orders[0]
                self.orders[0] = kept | {field: value}
                self.assert_found("k1", "acknowledged as")
                self.orders[0] = kept
        self.orders[0]["lines"][0]["quantity"] = 3
        self.assert_found("k1", "the lines were acknowledged as")

    def test_an_order_that_is_not_what_was_wished_for(self):
        self.wishes[0]["request"] = {"user_id": "u", "notes": None, "order_items": [{"product_id": "p2", "quantity": 2}]}
        self.assert_found("k1", "wished for [('p2', 2)]")

    def test_a_wrong_total_and_a_wrong_line(self):
        self.orders[0]["lines"][0]["subtotal"] = "2.99"
        self.assert_found("order A", "not the sum")
        self.assert_found("order A", "does not add up")

    def test_a_body_that_is_out_of_date(self):
        self.orders[0]["is_body_true"] = False
        self.assert_found("order A", "the body that is kept")

    def test_histories_with_a_gap_an_illegal_step_or_another_end(self):
        self.events[1]["sequence"] = 3
        self.assert_found("order A", "[1, 3]")
        self.events[1] |= {"sequence": 2, "to": "shipped"}
        self.assert_found("order A", "went from pending")
        self.assert_found("order A is confirmed", "ends with shipped")

    def test_a_history_without_an_order(self):
        self.events += walk("C", "pending")
        self.assert_found("history of C")

    def test_an_answer_that_was_never_true(self):
        self.told.append({"order_id": "B", "version": 2, "status": "confirmed"})
        self.assert_found("order B was told to be confirmed")

    def test_a_feed_that_skips_repeats_mixes_up_or_invents(self):
        read = self.feeds["reader-0"]
        for wrong, words in ((read[1:], "has not read ('A', 1)"), (read + read[-1:], "has read ('B', 2) 2 times"),
                             ([read[1], read[0], *read[2:]], "has read 2 of order A after 0"),
                             ([read[0] | {"to": "shipped"}, *read[1:]], "which the history tells otherwise"),
                             (read + [read[0] | {"order_id": "C"}], "not in the history"),
                             ([read[2], *read[:2], read[3]], "part ways at event 1")):
            with self.subTest(words):
                self.feeds["reader-0"] = wrong
                self.assert_found(words)

    def test_stock_that_was_lost_made_or_left_in_doubt(self):
        for left in (7, 9):
            self.shelves["p1"] = (10, 0, left)
            self.assert_found("product p1", f"{left} are left")
        self.shelves["p1"] = (10, 0, 8)
        self.orders[0]["status"] = "pending"
        self.assert_found("order A is still pending")

    def test_an_order_shipped_without_stock_is_no_loss_if_the_keeper_lists_it(self):
        self.shelves["p1"] = (10, 0, 10)
        self.troubles = [{"order_id": "A", "product_id": "p1", "state": "refused", "trouble": "shipped without its stock"}]
        self.assertEqual(self.violations(), [])
        self.troubles[0]["trouble"] = "in doubt"
        self.assert_found("the keeper is left with")


class ToldTest(unittest.TestCase):
    def test_a_version_that_goes_back_and_one_that_changes_are_noticed(self):
        told = Told()
        told.order({"id": "A", "version": 2, "status": "confirmed"})
        told.order({"id": "A", "version": 1, "status": "pending"}, at_least=2)
        told.order({"id": "A", "version": 2, "status": "cancelled"})
        self.assertEqual(len(told.violations), 2, told.violations)


if __name__ == "__main__":
    unittest.main()
