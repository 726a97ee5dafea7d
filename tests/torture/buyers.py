"""Clients that create orders, never give up on one, and change what they have created."""

import json
import random
import threading
import time
import uuid
from collections import deque

PRODUCTS = [f"p{number}" for number in range(1, 13)]
# There are three at the start, and a few more come now and then: many orders will not get any.
SCARCE = "scarce"
NEXT = {"pending": ["cancelled", "confirmed"], "confirmed": ["shipped", "shipped", "cancelled"],
        "shipped": ["delivered"], "delivered": [], "cancelled": []}
ORDERS_OF_A_USER = 30
# Of one buyer at most, so that the stock keeper keeps up.
WISH_EVERY_S = 0.2


class Wish:
    """One order that somebody wants, under one key, and everything that was answered."""

    def __init__(self, user, chance, is_for_two):
        self.key, self.user, self.is_for_two = str(uuid.uuid4()), user, is_for_two
        lines = [(chance.choice(PRODUCTS), chance.randint(1, 3)) for _ in range(chance.choice((1, 1, 1, 2, 3, 5)))]
        if not is_for_two and chance.random() < 0.2:
            lines.append((SCARCE, 1))
        self.request = {
            "user_id": user,
            "shipping_address": f"{chance.randint(1, 999)} Main St, Köln",
            "notes": chance.choice((None, f"wish {self.key}")),
            "order_items": [{"product_id": product, "quantity": quantity} for product, quantity in lines],
        }
        self.body = json.dumps(self.request)
        # Texts of the 201 answers, the code of the refusal.
        self.created, self.refused, self.retries, self.order_id = [], None, 0, None

    def record(self):
        return {"key": self.key, "user": self.user, "request": self.request,
                "created": sorted(set(self.created)), "refused": self.refused, "retries": self.retries}


class Buyer(threading.Thread):
    def __init__(self, number, api, twin, told, ended, give_up):
        super().__init__(daemon=True)
        self.number, self.api, self.twin, self.told = number, api, twin, told
        self.ended, self.give_up = ended, give_up
        self.chance, self.wishes, self.recent = random.Random(number), [], deque(maxlen=20)

    def run(self):
        while not self.ended.is_set():
            begun = time.monotonic()
            user = f"user-{self.number}-{len(self.wishes) // ORDERS_OF_A_USER}"
            wish = Wish(user, self.chance, self.chance.random() < 0.05)
            self.wishes.append(wish)
            other = threading.Thread(target=self.create, args=(self.twin, wish))
            if wish.is_for_two:
                other.start()
            self.create(self.api, wish)
            if wish.is_for_two:
                other.join()
            if wish.created:
                self.recent.append(wish)
            while self.recent and not self.ended.is_set():
                self.follow_up(self.chance.choice(self.recent))
                if time.monotonic() > begun + WISH_EVERY_S:
                    break

    def create(self, api, wish):
        """Asks until there is an answer, as the contract allows because of the key."""
        while not self.give_up.is_set():
            reply = api.ask("POST", "/api/orders", wish.body, {"Idempotency-Key": wish.key})
            if reply is None:
                time.sleep(random.uniform(0.02, 0.4))
                wish.retries += 1
                api.count("retries")
                continue
            if reply.status == 201:
                if not wish.created:
                    api.count("created")
                self.acknowledged(wish, reply)
            else:
                wish.refused = reply.code
                if reply.code != "insufficient_stock":
                    self.told.violate(f"creation answered {reply.status} {reply.text}")
            return

    def acknowledged(self, wish, reply):
        wish.created.append(reply.text)
        # It says what the order was when it was created, whatever has become of it.
        if (reply.data["status"], reply.data["version"]) != ("pending", 1):
            self.told.violate(f"a creation was answered with {reply.text}")
        self.told.order(reply.data, how="POST")
        wish.order_id = reply.data["id"]

    def follow_up(self, wish):
        what = self.chance.random()
        if what < 0.4:
            self.look(wish)
        elif what < 0.5:
            self.list(wish)
        elif what < 0.6:
            self.create(self.api, wish)
        elif what < 0.63:
            self.reuse_key(wish)
        else:
            self.change(wish)

    def look(self, wish):
        at_least = self.told.known(wish.order_id)
        reply = self.api.ask("GET", f"/api/orders/{wish.order_id}")
        if reply and reply.status == 200:
            self.told.order(reply.data, at_least, "GET")
            return reply.data
        if reply:
            self.told.violate(f"GET of {wish.order_id} answered {reply.status} {reply.text}")

    def list(self, wish):
        """The user's orders: all that were acknowledged, none older than somebody has seen it."""
        at_least = {one.order_id: self.told.known(one.order_id)
                    for one in self.wishes[-ORDERS_OF_A_USER:] if one.user == wish.user and one.created}
        reply = self.api.ask("GET", f"/api/users/{wish.user}/orders?page_size=100")
        if not reply:
            return
        seen = {order["id"] for order in reply.data}
        for order in reply.data:
            self.told.order(order, at_least.get(order["id"], 0), "list")
        for order_id in at_least.keys() - seen:
            self.told.violate(f"order {order_id} is missing in its user's list")

    def reuse_key(self, wish):
        other = json.dumps(wish.request | {"notes": "something else"})
        reply = self.api.ask("POST", "/api/orders", other, {"Idempotency-Key": wish.key})
        if reply and (reply.status, reply.code) != (422, "idempotency_key_reused"):
            self.told.violate(f"a key used for something else was answered {reply.status} {reply.text}")

    def change(self, wish):
        order = self.look(wish)
        following = NEXT[order["status"]] if order else []
        if not following or (order["status"] == "pending" and self.chance.random() < 0.7):
            return
        status = self.chance.choice(following)
        headers = {"If-Match": f'"{order["version"]}"'} if self.chance.random() < 0.5 else {}
        for _ in range(5):
            if status == "cancelled":
                path, body, method = "cancel", {"reason": "changed my mind"}, "POST"
            else:
                path, body, method = "status", {"status": status}, "PATCH"
            reply = self.api.ask(method, f"/api/orders/{wish.order_id}/{path}", json.dumps(body), headers)
            if reply is None:
                continue
            if reply.status == 200:
                self.told.order(reply.data, order["version"], method)
            elif reply.status not in (409, 412):
                self.told.violate(f"a change was answered {reply.status} {reply.text}")
            return
