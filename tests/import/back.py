"""The way back, of both old schemas."""

from old import DOCUMENTED, order_id
from world import check_invariants, digest, give_back, refused, sql, take_over

# One order is created here, one is changed.
DONE_HERE = f"""
    with o as (insert into orders (id, user_id, total_amount, shipping_address, billing_address)
        values ('0a000000-0000-7000-8000-000000000001', 'new user', 30, E'It''s \\\\ here', 'there') returning *),
    e as (insert into order_events (order_id, sequence, to_status, created_at) select id, 1, status, created_at from o)
    insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal, created_at, updated_at)
    select ('0b000000-0000-7000-8000-00000000000' || n)::uuid, id, n, 'p' || n, n, 10, 10 * n, created_at, created_at from o, generate_series(1, 2) as n;
    call orders_fill_bodies();
    with o as (update orders set status = 'confirmed', version = version + 1, updated_at = now() where id = {order_id(10)} returning *)
    insert into order_events (order_id, sequence, from_status, to_status, created_at) select id, version, 'pending', status, updated_at from o;"""
WENT_BACK = "1 orders went back that were created here, 1 that were changed here"
NOTHING_WENT_BACK = "0 orders went back that were created here, 0"
LINES = "select count(*), sum(o.total_amount)::numeric(20, 2) from orders o join order_items i on i.order_id = o.id where user_id = 'new user'"


class Back:
    def test_what_was_done_here_goes_back_and_is_known_when_one_switches_again(self):
        old = self.copy()
        take_over(old, self.new)
        sql(self.new, DONE_HERE)
        self.assertIn(WENT_BACK, give_back(self.new, old))
        self.assertIn(NOTHING_WENT_BACK, give_back(self.new, old))
        self.assertEqual(sql(old, LINES), "2|60.00")
        # The old service goes on with both.
        sql(old, f"""update orders set status = 'shipped', updated_at = '2027-01-01 00:00Z'
                     where user_id = 'new user' or id::text = {order_id(10)}::text""")
        report = take_over(old, self.new)
        self.assertIn("0 new, 2 changed", report.said)
        self.assertIn("both sides agree", report.said)
        self.assertEqual(report.reasons("not_updated"), {})
        check_invariants(self.new)
        self.assertEqual(sql(self.new, "select status, version, shipping_address from orders where user_id = 'new user'"), "shipped|2|It's \\ here")

    def test_in_columns_without_a_zone_it_keeps_its_moments(self):
        old = self.copy()
        columns = [("orders", "created_at"), ("orders", "updated_at"), ("order_items", "created_at")]
        if self.schema == DOCUMENTED:
            columns.append(("order_items", "updated_at"))
        sql(old, f"alter database {old} set timezone = 'America/Lima'; set timezone = 'Europe/Istanbul';"
            + "".join(f"alter table {table} alter {column} type timestamp;" for table, column in columns))
        take_over(old, self.new, TIME_ZONE="Europe/Istanbul")
        sql(self.new, DONE_HERE)
        self.assertIn(WENT_BACK, give_back(self.new, old, TIME_ZONE="Europe/Istanbul"))
        for table, column in columns:
            of_both = f"""set timezone = 'UTC'; select id::text, {column}{{}} from {table}
                where {'user_id' if table == 'orders' else 'order_id::text'} in ('new user', '0a000000-0000-7000-8000-000000000001')
                      or id::text = {order_id(10)}::text order by 1"""
            self.assertEqual(sql(old, of_both.format(" at time zone 'Europe/Istanbul'")), sql(self.new, of_both.format("")), column)
        here = digest(self.new).splitlines()[:3]
        self.assertIn("0 new, 0 changed", take_over(old, self.new, TIME_ZONE="Europe/Istanbul").said)
        self.assertEqual(digest(self.new).splitlines()[:3], here)

    def test_broken_off_after_the_old_database_has_it_is_repeated(self):
        old = self.copy()
        take_over(old, self.new)
        sql(self.new, DONE_HERE + """
            create function broken_off() returns trigger language plpgsql as $$ begin raise exception 'broken off'; end $$;
            create trigger broken_off before insert on import_known execute function broken_off();""")
        message = refused(old, self.new, "back")
        self.assertIn("broken off", message)
        self.assertEqual(sql(old, LINES), "2|60.00")
        sql(self.new, "drop function broken_off cascade")
        self.assertIn(WENT_BACK, give_back(self.new, old))
        self.assertEqual(sql(old, LINES), "2|60.00")
        self.assertIn("the same command goes on", message)
        self.assertIn("0 new, 0 changed", take_over(old, self.new).said)

    def test_where_ids_are_numbers_there_is_none_and_it_is_said_on_the_way_here(self):
        old = self.copy()
        sql(old, "alter table order_items drop id; alter table order_items add id serial primary key;")
        report = take_over(old, self.new, TAKE="line_id_invalid=derive")
        self.assertIn("order_items.id is of type integer", report.said)
        sql(self.new, DONE_HERE)
        message = refused(old, self.new, "back")
        self.assertIn("order_items.id is of type integer", message)
        self.assertEqual(len(message.splitlines()), 1)
        self.assertEqual(sql(old, LINES), "0|")
