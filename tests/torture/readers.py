"""Readers of the change feed. Each remembers how far it has read, and now and then forgets."""

import random
import threading
import time
from datetime import datetime, timezone
from urllib.parse import quote


class Reader(threading.Thread):
    def __init__(self, number, api, told, all_written, give_up, start_after_s=0):
        super().__init__(daemon=True)
        self.api, self.told, self.start_after_s = api, told, start_after_s
        self.all_written, self.give_up = all_written, give_up
        self.chance = random.Random(f"reader {number}")
        # What was read, and after how many events there was which cursor.
        self.events, self.cursors = [], [(0, None)]
        self.forgotten, self.again, self.delays_ms, self.is_done = [], 0, [], False

    def run(self):
        time.sleep(self.start_after_s)
        while not self.give_up.is_set():
            was_written = self.all_written.is_set()
            page = self.read()
            if page == [] and was_written and not self.forgotten:
                self.is_done = True
                return
            if page is None:
                time.sleep(0.1)
            elif not was_written and self.chance.random() < 0.03:
                self.forget()

    def read(self):
        _, cursor = self.cursors[-1]
        wait_s = 0 if self.all_written.is_set() else self.chance.choice((0, 0, 1, 5))
        path = f"/api/events?limit={self.chance.choice((1, 7, 100, 500, 500))}&wait={wait_s}"
        if cursor is not None:
            path += "&after=" + quote(cursor, safe="")
        reply = self.api.ask("GET", path, timeout_s=wait_s + 10)
        if reply is None:
            return None
        if reply.status != 200:
            self.told.violate(f"the feed answered {reply.status} {reply.text}")
            return None
        self.take(reply.data, reply.document["pagination"]["next_cursor"], is_fresh=wait_s > 0)
        return reply.data

    def take(self, page, cursor, is_fresh):
        now = datetime.now(timezone.utc)
        for event in page:
            order = event["order"]
            if (order["id"], order["version"], order["status"]) != (event["order_id"], event["sequence"], event["to"]):
                self.told.violate(f"an event does not fit its document: {event}")
            # From here on, nobody may be shown the order as it was before.
            self.told.order(order, how="feed")
            if self.forgotten:
                self.again += 1
                expected = self.forgotten.pop(0)
                if expected != event["id"]:
                    self.told.violate(f"read again, the feed has {event['id']} where it had {expected}")
            elif is_fresh and len(page) < 20:
                at = datetime.fromisoformat(event["at"].replace("Z", "+00:00"))
                self.delays_ms.append((now - at).total_seconds() * 1000)
            self.events.append({name: event[name] for name in ("id", "order_id", "sequence", "type", "from", "to")})
        self.cursors.append((len(self.events), cursor))

    def forget(self):
        """As if it had been killed before it stored its cursor: it reads on from an earlier one."""
        back = min(self.chance.randint(2, 6), len(self.cursors))
        del self.cursors[len(self.cursors) - back + 1 :]
        kept = self.cursors[-1][0]
        self.forgotten = [event["id"] for event in self.events[kept:]] + self.forgotten
        del self.events[kept:]
