"""Who is killed when. Each victim has a thread of its own, so that some are down together."""

import random
import signal
import threading
import time

# Victim: seconds from one event to the next on average, and how long it then stays down at most.
RATES = {
    "host killed": (9, 1.0),
    "Postgres killed": (40, 1.5),
    "Redis killed": (45, 2.0),
    "Redis flushed": (12, 0.0),
    "keeper killed": (10, 1.0),
}


class Havoc:
    def __init__(self, world, clock, seconds, seed):
        self.world, self.clock, self.seconds = world, clock, seconds
        self.events, self.errors = [], []
        self.threads = [
            threading.Thread(target=self.torment, args=(what, random.Random(f"{seed} {what}")), daemon=True)
            for what in RATES
        ]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def torment(self, what, chance):
        """One event in each stretch of the run, somewhere in it."""
        interval_s, down_s = RATES[what]
        count = max(1, round(self.seconds / interval_s))
        stretch_s = self.seconds * 0.9 / count
        try:
            for number in range(count):
                at_s = self.seconds * 0.05 + stretch_s * (number + chance.random())
                time.sleep(max(0, at_s - self.clock()))
                self.strike(what, number, chance.uniform(0, down_s))
        except Exception as error:
            self.errors.append(error)

    def strike(self, what, number, down_s):
        self.events.append((round(self.clock(), 2), what))
        if what == "Redis flushed":
            self.world.redis_command("FLUSHALL")
            return
        victim = getattr(self.world, what.split()[0].lower())
        # Postgres has two ways to go without a word: its first process dies and the sessions
        # notice, or all of them drop everything at once.
        is_immediate = victim is self.world.postgres and number % 2 == 1
        victim.end(signal.SIGQUIT if is_immediate else signal.SIGKILL)
        time.sleep(down_s)
        victim.start()
