"""Clients that write and others that hold every list against what had been told before it was asked for."""

import random
import threading
import time
import uuid

NEXT = {"pending": ["confirmed", "cancelled"], "confirmed": ["shipped", "cancelled"], "shipped": ["delivered"]}
ORDERS_OF_A_USER = 60


class Told:
    """The orders of each user as answers to writes have told of them: id, then version and status."""

    def __init__(self):
        self.users, self.lock, self.violations = {}, threading.Lock(), []
        self.lists, self.keys = 0, {}

    def order(self, order):
        with self.lock:
            orders = self.users.setdefault(order["user_id"], {})
            if orders.get(order["id"], (0,))[0] <= order["version"]:
                orders[order["id"]] = order["version"], order["status"]

    def of(self, user):
        with self.lock:
            return dict(self.users[user])

    def some_user(self, chance):
        with self.lock:
            return chance.choice(sorted(self.users)) if self.users else None

    def total(self):
        with self.lock:
            return sum(map(len, self.users.values()))

    def compare(self, told, shown, total):
        """What a list lacks of what had been told."""
        self.lists += 1
        if total < len(told):
            self.violations.append(f"{len(told)} orders had been told of, the list has {total}")
        for order_id, (version, status) in told.items():
            order = shown.get(order_id)
            if order is None:
                self.violations.append(f"order {order_id} is not in the list")
            elif order["version"] < version or (order["version"] == version and order["status"] != status):
                self.violations.append(f"order {order_id} was {version} {status}, is {order['version']}")


class Load:
    """Runs until it is ended. A writer waits up to `pause_s` before each write."""

    def __init__(self, world, told, writers, readers, pause_s):
        self.world, self.told, self.pause_s = world, told, pause_s
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.guard, args=(work, number), daemon=True)
                        for work, count in ((self.write, writers), (self.read, readers)) for number in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)

    def guard(self, work, number):
        try:
            work(self.world.client(), random.Random(number))
        except Exception as error:  # A test must hear of it.
            self.told.violations.append(repr(error))

    def write(self, client, chance):
        user, mine = str(uuid.uuid4()), {}
        while not self.ended.wait(chance.uniform(0, self.pause_s)):
            if len(mine) == ORDERS_OF_A_USER:
                user, mine = str(uuid.uuid4()), {}
            open_orders = [order for order in mine.values() if order["status"] in NEXT]
            if not open_orders or chance.random() < 0.5:
                reply = self.create(client, user)
            else:
                order = chance.choice(open_orders)
                reply = client.change(order["id"], chance.choice(NEXT[order["status"]]))
            if reply and reply.data:
                mine[reply.data["id"]] = reply.data
                self.told.order(reply.data)

    def create(self, client, user):
        """Asks again until there is an answer, as the key allows."""
        key = str(uuid.uuid4())
        while True:
            reply = client.create(user, key)
            if reply and reply.status == 201:
                self.told.keys[key] = reply.data["id"]
                return reply
            time.sleep(0.1)

    def read(self, client, chance):
        while not self.ended.wait(chance.uniform(0, 0.02)):
            if (user := self.told.some_user(chance)) is None:
                continue
            if chance.random() < 0.2:
                told = self.told.total()
                total = client.get("/api/orders?page_size=1").document["pagination"]["total"]
                if total < told:
                    self.told.violations.append(f"{told} orders had been told of, the list of all has {total}")
                continue
            told = self.told.of(user)
            self.told.compare(told, *client.orders(user))
