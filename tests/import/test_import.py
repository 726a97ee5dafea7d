"""The import of both old schemas, on databases of their own in the Postgres of TEST_DATABASE_URL
(superuser). Run by scripts/check-import."""

import json
import os
import random
import re
import subprocess
import time
import unittest
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from back import Back
from old import DOCUMENTED, GORM, fault_statements, faults, fill, order_id, orphan
from world import (ROOT, check_invariants, check_sums, digest, drop, killed, new_database, old_database, open_transaction,
                   refused, sql, take_over, template, url)

COUNT = 2000
# The first of the faulty orders, whose lines do not add up.
SUM = "fa000000-0000-4000-8000-000000000000"

WAITING = "select count(*) from pg_locks where not granted"

ROWS = """set timezone = 'UTC';
    select id::text, user_id, case when status = 'processing' then 'confirmed' else status end,
           total_amount::text::numeric(20, 2), {currency}, shipping_address, billing_address, {notes},
           created_at, updated_at from orders where id::text not in ({left}) and {live} order by 1;
    select id::text, order_id::text, product_id, quantity, {price}, created_at from order_items
    where order_id::text not in ({left}) and {live}
          and order_id::text in (select id::text from orders where {live}) order by 1;"""


def setUpModule():
    template()


class Import(Back):
    """What holds for both schemas."""

    maxDiff = None
    schema = ""
    old = ""
    # How the rows of the old schema are spelled.
    names: dict[str, str] = {}

    @classmethod
    def setUpClass(cls):
        statements, cls.expected = fault_statements(cls.schema)
        old_database(cls.old, cls.schema, fill(cls.schema, COUNT), *statements, orphan(cls.schema))
        cls.expected["gone" if cls.schema == GORM else ""] = {"line_without_order"}

    def setUp(self):
        self.new = f"{self.old}_new"
        new_database(self.new)

    @classmethod
    def tearDownClass(cls):
        drop(cls.old, f"{cls.old}_new", f"{cls.old}_copy")

    def copy(self) -> str:
        name = f"{self.old}_copy"
        drop(name)
        sql("postgres", f"create database {name} template {self.old};")
        return name

    def ids(self, *numbers: int) -> set[str]:
        return set(sql(self.new, "select unnest(array[" + ",".join(map(order_id, numbers)) + "])").splitlines())

    def test_what_is_right_is_taken_over_and_every_fault_is_named(self):
        report = take_over(self.old, self.new)
        self.assertEqual(report.reasons("left_out"), self.expected)
        self.assertEqual({row["outcome"] for row in report.rows}, {"left_out"})
        self.assertIn("both sides agree", report.said)
        check_invariants(self.new)
        self.assertGreater(check_sums(self.old, self.new, report), 99)
        left = ",".join(f"'{id}'" for id in report.reasons("left_out"))
        there = sql(self.old, ROWS.format(left=left, **self.names))
        here = sql(self.new, ROWS.format(left=left, live="true", currency="currency", notes="notes", price="unit_price"))
        self.assertEqual(there.splitlines(), here.splitlines())
        # Lines stand in the order of their creation; the feed tells of the oldest order first.
        self.assertEqual(sql(self.new, """select count(*) from (select line, row_number() over (
            partition by order_id order by created_at) as place from order_items) as i where line <> place"""), "0")
        self.assertEqual(sql(self.new, """select count(*) from (
            select o.created_at, lag(o.created_at) over (order by position, number) as before
            from order_events as e join orders as o on o.id = e.order_id) as e where created_at < before"""), "0")
        self.assertEqual(sql(self.new, "select count(*) from order_events where created_at not in (select created_at from orders union select updated_at from orders)"), "0")

    def test_a_dry_run_reports_the_same_and_changes_nothing(self):
        everything = """select string_agg(relname || relfilenode, ',' order by 1) from pg_class
            where relnamespace = 'public'::regnamespace; select count(*) from orders; select last_value from order_events_number"""
        before = sql(self.new, everything)
        dry = take_over(self.old, self.new, DRY_RUN="1")
        self.assertEqual(sql(self.new, everything), before)
        self.assertIn("nothing was changed", dry.said)
        real = take_over(self.old, self.new)
        self.assertEqual(dry.rows, real.rows)
        before = digest(self.new)
        take_over(self.old, self.new, DRY_RUN="1")
        self.assertEqual(digest(self.new), before)

    def test_the_second_run_takes_what_has_changed_since(self):
        old, price = self.copy(), "unit_price" if self.schema == DOCUMENTED else "price"
        take_over(old, self.new)
        first = digest(self.new)
        self.assertIn("0 new, 0 changed", take_over(old, self.new).said)
        self.assertEqual(digest(self.new), first, "nothing has changed")
        here = f"""with o as (update orders set status = 'cancelled', version = version + 1, updated_at = now()
                where id in ({order_id(10)}, {order_id(15)}, {order_id(20)}) returning *)
            insert into order_events (order_id, sequence, from_status, to_status, created_at)
            select id, version, 'pending', status, updated_at from o;"""
        sql(self.new, here)
        kept = sql(self.new, f"select * from orders where id = {order_id(10)}")
        id_of = lambda n: order_id(n) + ("" if self.schema == DOCUMENTED else "::text")
        later = "updated_at = '2026-03-03 03:03:03.030303Z'"
        sql(old, f"""
            update orders set status = 'processing', {later} where id in ({id_of(5)}, {id_of(10)});
            update orders set status = 'cancelled', {later} where id = {id_of(20)};
            update orders set shipping_address = 'moved', {later} where id in ({id_of(25)}, {id_of(15)});
            update order_items set quantity = 7, {price} = 3 {', subtotal = 21' if self.schema == DOCUMENTED else ''}
                where order_id = {id_of(30)};
            update orders set total_amount = 21 * (select count(*) from order_items where order_id = {id_of(30)}) where id = {id_of(30)};
            update orders set status = 'refunded' where id = {id_of(35)};
            update orders set total_amount = 20 where id = '{SUM}';
            delete from order_items where order_id = {id_of(40)};
            delete from orders where id = {id_of(40)};""")
        if self.schema == GORM:
            sql(old, f"update orders set deleted_at = now() where id = {id_of(45)};"
                     f"update order_items set deleted_at = null where id like '%x' and order_id = {id_of(55)};"
                     f"update orders set total_amount = total_amount + (select sum(price * quantity) from order_items where order_id = {id_of(55)} and id like '%x') where id = {id_of(55)};")
        report = take_over(old, self.new)
        self.assertIn("both sides agree", report.said)
        check_invariants(self.new)
        self.assertEqual(report.names("not_updated", "changed_here"), self.ids(10, 15))
        self.assertEqual(report.names("not_updated", "status_unknown"), self.ids(35))
        self.assertEqual(report.names("kept", "deleted_since"), self.ids(40, 45) if self.schema == GORM else self.ids(40))
        self.assertEqual(sql(self.new, f"select * from orders where id = {order_id(10)}"), kept)
        history = lambda n: sql(self.new, f"""set timezone = 'UTC'; select sequence, from_status, to_status, created_at, reason
            from order_events where order_id = {order_id(n)} order by 1 desc limit 1""")
        self.assertEqual(history(5), "2|pending|confirmed|2026-03-03 03:03:03.030303+00|")
        self.assertEqual(history(25), "2|pending|pending|2026-03-03 03:03:03.030303+00|changed before it was taken over")
        self.assertEqual(sql(self.new, f"select shipping_address from orders where id = {order_id(25)}"), "moved")
        self.assertEqual(sql(self.new, f"select distinct subtotal from order_items where order_id = {order_id(30)}"), "21.00")
        self.assertNotIn(SUM, report.reasons("left_out"))
        again = digest(self.new)
        report = take_over(old, self.new)
        self.assertEqual(report.names("not_updated", "changed_here"), self.ids(10, 15), "it is said until somebody decides")
        self.assertEqual(digest(self.new), again)

    def test_what_is_in_the_archive_is_left_alone_and_said(self):
        old = self.copy()
        take_over(old, self.new)
        sql(self.new, "set role order_migrations; call orders_archive('2024-01-01');")
        archived = [f"select md5(string_agg(t::text, '' order by t::text)) from {table} as t"
                    for table in ("archived_orders", "archived_order_items", "archived_order_events")]
        kept = [sql(self.new, query) for query in archived]
        sql(old, f"""update orders set updated_at = '2026-03-03Z' where id::text in ({order_id(3)}::text, {order_id(5)}::text);
                     update orders set status = 'delivered' where id::text = {order_id(4)}::text;""")
        dry = take_over(old, self.new, DRY_RUN="1")
        report = take_over(old, self.new, BATCH="1")
        self.assertEqual(report.reasons("not_updated"), {id: {"archived_here"} for id in self.ids(3, 4)})
        self.assertEqual(dry.rows, report.rows)
        self.assertIn("0 new, 1 changed", report.said)
        self.assertIn("both sides agree", report.said)
        self.assertEqual([sql(self.new, query) for query in archived], kept)
        self.assertEqual(take_over(old, self.new).rows, report.rows, "it is said until somebody decides")
        check_invariants(self.new)

    def test_what_is_archived_while_it_runs_is_left_alone_and_said(self):
        old = self.copy()
        take_over(old, self.new)
        sql(old, f"update orders set updated_at = '2026-03-03Z' where id::text in ({order_id(3)}::text, {order_id(5)}::text)")
        sql(self.new, "set role order_migrations; call order_archive_create();")
        with ThreadPoolExecutor() as beside:
            with open_transaction(self.new, f"call orders_move_to_archive(array[{order_id(3)}])"):
                run = beside.submit(take_over, old, self.new)
                while sql(self.new, WAITING) == "0" and not run.done():
                    time.sleep(0.05)
            report = run.result()
        self.assertEqual(report.reasons("not_updated"), {id: {"archived_here"} for id in self.ids(3)})
        self.assertIn("both sides agree", report.said)
        check_invariants(self.new)

    def test_a_status_that_is_changed_meanwhile_waits_its_turn(self):
        """Both count: here a user's order, of another shard than what the import has yet to count."""
        old = self.copy()
        y, z = sql(self.new, f"""select y, z from generate_series(103, 1903, 100) as y, generate_series(8, 1998, 5) as z
            where z % 100 <> 3 and y % 97 <> 0 and z % 97 <> 0
                  and order_shard(md5('order ' || y)::uuid) = order_shard(md5('order ' || z)::uuid)
                  and order_shard(md5('order ' || y)::uuid) <> order_shard({order_id(3)}) limit 1""").split("|")
        new, here, there = (f"{order_id(n)}::text" for n in (3, y, z))
        sql(old, f"""create table kept as select * from orders where id::text = {new};
            create table kept_items as select * from order_items where order_id::text = {new};
            delete from order_items where order_id::text = {new}; delete from orders where id::text = {new};
            update orders set status = 'shipped' where id::text in ({here}, {there});""")
        take_over(old, self.new)
        sql(old, f"""insert into orders select * from kept; insert into order_items select * from kept_items;
            update orders set status = 'delivered', updated_at = '2026-03-03Z' where id::text = {there};""")
        change = f"select was from order_change_status({order_id(y)}, 'delivered', array['shipped'], null, null)"
        with ThreadPoolExecutor() as beside:
            with open_transaction(self.new, "lock table order_items in share mode"):
                work = []
                for one in (lambda: take_over(old, self.new), lambda: sql(self.new, change)):
                    work.append(beside.submit(one))
                    while int(sql(self.new, WAITING)) < len(work) and not any(w.done() for w in work):
                        time.sleep(0.05)
            report, was = (w.result() for w in work)
        self.assertIn("both sides agree", report.said)
        self.assertEqual(was, "shipped")
        check_invariants(self.new)

    def test_killed_at_any_point_and_repeated_it_ends_the_same(self):
        began = time.monotonic()
        take_over(self.old, self.new)
        took_s = time.monotonic() - began
        undisturbed = digest(self.new)
        new_database(self.new)
        kills = sum(killed(self.old, self.new, took_s, BATCH="100") for _ in range(4))
        self.assertGreater(kills, 0)
        take_over(self.old, self.new)
        self.assertEqual(digest(self.new), undisturbed)
        check_invariants(self.new)

    def test_with_an_option_it_is_taken_and_what_was_changed_is_listed(self):
        options = ("total_mismatch=keep no_lines=keep amount_inexact=round subtotal_mismatch=compute time_missing=nearest "
                   "billing_address_missing=shipping shipping_address_missing=dash too_long=cut control_character=space "
                   "line_id_invalid=derive status.paid=confirmed")
        report = take_over(self.old, self.new, TAKE=options)
        check_invariants(self.new)
        curable = {"total_mismatch", "no_lines", "amount_inexact", "subtotal_mismatch", "time_missing",
                   "billing_address_missing", "shipping_address_missing", "shipping_address_too_long",
                   "billing_address_control_character", "notes_too_long", "notes_control_character", "line_id_invalid"}
        names = {f"fa000000-0000-4000-8000-{n:012x}": reasons
                 for n, (name, _, _, reasons) in enumerate(faults(self.schema))}
        cured = {id for id, reasons in names.items() if reasons and reasons <= curable or id.endswith("000000000001")}
        self.assertLessEqual(cured - set(self.expected) , set())
        self.assertEqual(set(self.expected) - set(report.reasons("left_out")), cured)
        self.assertEqual(set(report.reasons("adjusted")), cured)
        self.assertEqual(report.rows, take_over(self.old, self.new, TAKE=options).rows, "every run says so")


class Documented(Import, unittest.TestCase):
    schema, old = DOCUMENTED, "import_documented"
    names = {"live": "true", "currency": "currency", "notes": "notes", "price": "unit_price"}


class Gorm(Import, unittest.TestCase):
    schema, old = GORM, "import_gorm"
    names = {"live": "deleted_at is null", "currency": "'USD'", "notes": "null", "price": "price::numeric(20, 2)"}

    def test_times_without_a_zone_need_one(self):
        old = self.copy()
        sql(old, "set timezone = 'Europe/Istanbul'; alter table orders alter created_at type timestamp;")
        self.assertIn("TIME_ZONE", refused(old, self.new))
        self.assertEqual(sql(self.new, "select to_regclass('import_known')"), "")
        report = take_over(old, self.new, TIME_ZONE="Europe/Istanbul")
        plain = f"select id::text, created_at from orders where id in ({order_id(1)}{{0}}, {order_id(2)}{{0}}) order by 1"
        self.assertEqual(sql(self.new, plain.format("")), sql(self.old, plain.format("::text")))
        self.assertEqual(report.reasons("left_out"), self.expected)

    def test_what_it_cannot_do_it_says_in_one_line(self):
        self.assertIn("TAKE: total_mismatch=ignore is not one of", refused(self.old, self.new, TAKE="total_mismatch=ignore"))
        self.assertIn("not of the one before", refused(self.new, self.new))
        self.assertIn("FROM must name", refused(self.old, self.new, FROM="mysql://somewhere"))
        self.assertIn("the old database", refused(self.old, self.new, FROM="postgres://nobody:secret@127.0.0.1:1/orders"))
        self.assertNotIn("secret", refused(self.old, self.new, FROM="postgres://nobody:secret@127.0.0.1:1/orders"))
        message = refused(self.old, self.new, DATABASE_URL=url(self.new, "order_service"))
        self.assertIn("permission denied", message)
        self.assertEqual(len(message.splitlines()), 1)


class Page(unittest.TestCase):
    """docs/switching.md says all that the import may say, and what may be answered."""

    def test_it_names_every_fault_and_every_way_to_take_it(self):
        page = (ROOT / "docs/switching.md").read_text()
        ways = re.search(r"WAYS=\((.*?)\n\)", (ROOT / "scripts/import").read_text(), re.S)[1]
        for name, ways_of_it in re.findall(r'\[(\w+)\]=(\w+|"[^"]*")', ways):
            for way in ways_of_it.strip('"').split():
                self.assertRegex(page, rf"{name}.*`(?:{name}=)?{way}`")
        said = set().union(*(reasons for schema in (DOCUMENTED, GORM) for *_, reasons in faults(schema)))
        for reason in said:
            general = re.sub(r"^.*_(too_long|control_character)$", r"…_\1", reason)
            field = re.sub(r"^(user_id|product_id)_.*$", r"\1_…", reason)
            self.assertTrue(f"`{reason}`" in page or f"`{general}`" in page or f"`{field}`" in page, reason)

    def test_its_question_for_open_transactions_counts_those_of_others(self):
        name = "import_page"
        old_database(name)
        question = re.search(r"select count\(\*\) from pg_stat_activity[^;`]*", (ROOT / "docs/switching.md").read_text())[0]
        try:
            self.assertEqual(sql(name, question), "0")
            with open_transaction(name, "select 1"):
                self.assertEqual(sql(name, question), "1")
        finally:
            drop(name)


class Service(unittest.TestCase):
    """What clients see of orders that were taken over."""

    port = 28703

    def get(self, path: str, **headers: str):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer), answer.headers

    def test_the_service_shows_orders_lists_and_feed(self):
        old, new = "import_service", "import_service_new"
        old_database(old, DOCUMENTED, fill(DOCUMENTED, 300))
        new_database(new)
        take_over(old, new)
        settings = {**os.environ, "STAND": "import-up", "ENV_FILE": "/dev/null", "SERVER_PORT": str(self.port),
                    "DATABASE_URL": url(new, "order_service"), "MIGRATION_DATABASE_URL": url(new, "order_migrations"),
                    "REDIS_URL": os.environ["TEST_REDIS_URL"], "PRODUCT_SERVICE_URL": "http://127.0.0.1:9",
                    "SPIN_VARIABLE_REDIS_KEY_PREFIX": f"import{random.getrandbits(32)}:"}
        settings.setdefault("SPIN", "stand-in")
        with open(ROOT / ".dev/log/import-up.log", "w") as log:
            service = subprocess.Popen([ROOT / "scripts/up"], env=settings, stdout=log, stderr=log)
        try:
            self.wait(service)
            self.look(old)
        finally:
            service.terminate()
            service.wait()
            drop(old, new)

    def wait(self, service):
        while True:
            self.assertIsNone(service.poll(), "the service did not start: .dev/log/import-up.log")
            try:
                return self.get("/health")
            except OSError:
                time.sleep(0.2)

    def look(self, old: str):
        id, user, status, total = sql(old, f"select id, user_id, status, total_amount from orders where id = {order_id(3)}").split("|")
        answer, headers = self.get(f"/api/orders/{id}")
        order = answer["data"]
        self.assertEqual((order["id"], order["user_id"], order["status"]), (id, user, status))
        self.assertEqual((headers["ETag"], order["version"]), ('"2"', 2))
        self.assertEqual(f"{order['total_amount']:.2f}", total)
        self.assertEqual([line["product_id"] for line in order["order_items"]], [f"prod-{3 + k}" for k in range(1, 5)])
        with self.assertRaises(urllib.error.HTTPError) as unchanged:
            self.get(f"/api/orders/{id}", **{"If-None-Match": '"2"'})
        self.assertEqual(unchanged.exception.code, 304)
        history, _ = self.get(f"/api/orders/{id}/history")
        self.assertEqual([(e["from"], e["to"]) for e in history["data"]], [(None, "pending"), ("pending", status)])
        listed, _ = self.get(f"/api/users/{urllib.request.quote(user)}/orders?page_size=100")
        count, amount = sql(old, f"select count(*), sum(total_amount) from orders where user_id = '{user}'").split("|")
        self.assertEqual((listed["pagination"]["total"], len(listed["data"])), (int(count), int(count)))
        self.assertEqual(f"{sum(o['total_amount'] for o in listed['data']):.2f}", amount)
        self.assertEqual(self.get("/api/orders?status=confirmed")[0]["pagination"]["total"], 60)
        seen, after = [], ""
        while True:
            page, _ = self.get(f"/api/events?limit=200{after}")
            seen += page["data"]
            after = f"&after={page['pagination']['next_cursor']}"
            if not page["data"]:
                break
        self.assertEqual(len(seen), 300 + 240)
        last = {event["order_id"]: event["order"] for event in seen}
        self.assertEqual(len(last), 300)
        self.assertEqual(last[id], order)


if __name__ == "__main__":
    unittest.main()
