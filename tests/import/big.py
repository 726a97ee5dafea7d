"""The import on the scale that it is made for: both old schemas with every kind of fault in many
orders, timed, killed ten times, and changed between two runs."""

import random
import sys
import time

from old import DOCUMENTED, GORM, fault_statements, fill, orphan
from world import check_invariants, check_sums, digest, drop, killed, new_database, old_database, sql, take_over, template

KILLS = 10
COPIES = 100
IN_PLACE = "select count(*) from orders"


def timed(title: str, work, *arguments, **settings):
    began = time.monotonic()
    result = work(*arguments, **settings)
    print(f"{title}: {time.monotonic() - began:.1f} s", flush=True)
    return result


def faulty(schema: str) -> tuple[list[str], dict[str, set[str]]]:
    statements, expected = [orphan(schema)], {"gone" if schema == GORM else "": {"line_without_order"}}
    for copy in range(COPIES):
        more, reasons = fault_statements(schema, copy)
        statements += more
        expected |= reasons
    return statements, expected


def check(title: str, schema: str, count: int) -> None:
    old, new = f"import_big_{title}", f"import_big_{title}_new"
    statements, expected = faulty(schema)
    timed(f"{title}: filled", old_database, old, schema, fill(schema, count), *statements)
    new_database(new)
    began = time.monotonic()
    report = timed(f"{title}: all taken over", take_over, old, new)
    took_s = time.monotonic() - began
    print(report.said, flush=True)
    assert report.reasons("left_out") == expected
    check_invariants(new)
    print(f"{title}: {check_sums(old, new, report)} sums by user and status agree", flush=True)
    undisturbed = digest(new)
    timed(f"{title}: nothing changed", take_over, old, new)
    assert digest(new) == undisturbed

    new_database(new)
    kills = 0
    while kills < KILLS:
        # Soon and late: while it reads, while it checks, while it takes over.
        if killed(old, new, took_s * random.choice([0.1, 0.5, 1])):
            kills += 1
            print(f"{title}: killed, {sql(new, IN_PLACE)} orders are there", flush=True)
        else:
            # There is nothing left to break off.
            new_database(new)
    timed(f"{title}: the rest", take_over, old, new)
    assert digest(new) == undisturbed, "killed and repeated, it did not end the same"

    changed = f"(select id from orders where user_id like 'user %7' order by id limit {count // 100})"
    sql(old, f"""update orders set status = 'cancelled', updated_at = updated_at + interval '400 days' where id in {changed};
                 insert into orders select md5(id::text)::uuid, {', '.join(columns(old))} from orders
                 where id in {changed};
                 insert into order_items select md5(id::text)::uuid, md5(order_id::text)::uuid, {', '.join(columns(old, 'order_items'))}
                 from order_items where order_id in {changed};""")
    report = timed(f"{title}: one order in fifty new or changed", take_over, old, new)
    print(report.said, flush=True)
    check_invariants(new)
    print(f"{title}: {check_sums(old, new, report)} sums by user and status agree", flush=True)
    drop(old, new)


def columns(old: str, table: str = "orders") -> list[str]:
    """All but the ids."""
    return sql(old, f"""select attname from pg_attribute where attrelid = '{table}'::regclass and attnum > 0
                        and attname not in ('id', 'order_id') order by attnum""").splitlines()


if __name__ == "__main__":
    template()
    for name, made in (("gorm", GORM), ("documented", DOCUMENTED)):
        check(name, made, int(sys.argv[1]))
