"""The databases of the service before, made and filled by statements as it and its ORM make them."""

# As its documentation has it.
DOCUMENTED = """
create table orders (
    id uuid primary key, user_id varchar(255) not null,
    status varchar(50) not null default 'pending', total_amount decimal(10, 2) not null,
    currency varchar(3) not null default 'USD', shipping_address text, billing_address text,
    notes text, created_at timestamp with time zone, updated_at timestamp with time zone
);
create table order_items (
    id uuid primary key, order_id uuid references orders(id) on delete cascade,
    product_id varchar(255) not null, quantity integer not null,
    unit_price decimal(10, 2) not null, subtotal decimal(10, 2) not null,
    created_at timestamp with time zone, updated_at timestamp with time zone
);
"""

# As GORM's AutoMigrate makes it of structs with string ids and float64 amounts.
GORM = """
create table "orders" ("id" text, "user_id" text not null, "status" text default 'pending',
    "total_amount" double precision not null, "shipping_address" text, "billing_address" text,
    "payment_id" text, "created_at" timestamptz, "updated_at" timestamptz,
    "deleted_at" timestamptz, primary key ("id"));
create index "idx_orders_user_id" on "orders" ("user_id");
create index "idx_orders_deleted_at" on "orders" ("deleted_at");
create table "order_items" ("id" text, "order_id" text not null, "product_id" text not null,
    "quantity" bigint not null, "price" numeric not null, "created_at" timestamptz,
    "deleted_at" timestamptz, primary key ("id"));
create index "idx_order_items_deleted_at" on "order_items" ("deleted_at");
"""

STATUS = "(array['pending','processing','shipped','delivered','cancelled'])[1 + n % 5]"
AT = "timestamptz '2023-01-01 00:00Z' + n * interval '1 minute 7.000123 seconds'"
CENTS = "100 + (n % 20011 * 7919 + k * 104729) % 20000"


def order_id(n: int) -> str:
    """Of the n-th order that `fill` makes."""
    return f"md5('order {n}')::uuid"


def fill(schema: str, count: int) -> str:
    """`count` orders without a fault, of one to five lines each; GORM's with some that are
    marked as deleted."""
    documented = schema == DOCUMENTED
    total = f"(select sum(({CENTS}) * (1 + (n + k) % 3)) from generate_series(1, 1 + n % 5) as k) / 100.0"
    order = f"""md5('order ' || n)::uuid::text as id, 'user ' || n % {max(count // 20, 3)} as user_id,
        {STATUS} as status, {total} as total, n || ' Main Street, Größenstadt' as address,
        {AT} as created, {AT} + n % 5 * interval '1 hour' as updated"""
    orders = f"select n, {order} from generate_series(1, {count}) as n"
    lines = f"""select n, k, md5('line ' || n || ' ' || k)::uuid::text as id, md5('order ' || n)::uuid::text as order_id,
        'prod-' || (n + k) % 500 as product, 1 + (n + k) % 3 as quantity, ({CENTS}) / 100.0 as price,
        {AT} + k * interval '1 microsecond' as created
        from generate_series(1, {count}) as n, generate_series(1, 1 + n % 5) as k"""
    if documented:
        return f"""
        insert into orders select id::uuid, user_id, status, total, 'USD', address, address,
               case when n % 3 = 0 then E'Ring twice\\nPlease "now"' end, created, updated from ({orders}) as o;
        insert into order_items select id::uuid, order_id::uuid, product, quantity, price,
               price * quantity, created, created from ({lines}) as l order by md5(l.id);"""
    return f"""
        insert into orders select id, user_id, status, total, address, address, 'pay-' || n, created,
               updated, case when n % 97 = 0 then updated end from ({orders}) as o;
        insert into order_items select id, order_id, product, quantity, price, created,
               case when n % 97 = 0 then created end from ({lines}) as l order by md5(l.id);
        -- Lines that were taken out of an order, before its total was made.
        insert into order_items select id || 'x', order_id, product, quantity, 1, created, created
        from ({lines}) as l where n % 11 = 0 and k = 1;"""


# Whatever may be wrong with an order: a name, columns of the order, lines, and what the report
# must say. A line is (columns); {} stands for one that is right.
def faults(schema: str) -> list[tuple[str, dict, list[dict], set[str]]]:
    both = [
        ("sum", {"total_amount": 21}, [{}, {}], {"total_mismatch"}),
        ("status", {"status": "paid"}, [{}], {"status_unknown"}),
        ("lineless", {}, [], {"no_lines"}),
        ("blank user", {"user_id": " \u00a0"}, [{}], {"user_id_missing"}),
        ("user in two lines", {"user_id": "a\nb"}, [{}], {"user_id_control_character"}),
        ("no address", {"shipping_address": None}, [{}], {"shipping_address_missing"}),
        ("no billing", {"billing_address": None}, [{}], {"billing_address_missing"}),
        ("long address", {"shipping_address": "ß" * 1001}, [{}], {"shipping_address_too_long"}),
        ("escape", {"billing_address": "a\x1bb"}, [{}], {"billing_address_control_character"}),
        ("blank product", {}, [{"product_id": ""}], {"product_id_missing"}),
        ("nothing of it", {"total_amount": 0}, [{"quantity": 0}], {"quantity_out_of_range"}),
        ("hoard", {"total_amount": 100010}, [{"quantity": 10001}], {"quantity_out_of_range"}),
        ("gift", {"total_amount": -10}, [{"price": -10}], {"amount_out_of_range"}),
        ("crowd", {"total_amount": 1010}, [{}] * 101, {"too_many_lines"}),
        ("timeless", {"created_at": None}, [{}], {"time_missing"}),
        ("line without time", {}, [{"created_at": None}], {"time_missing"}),
        ("for ever", {"updated_at": "infinity"}, [{}], {"time_out_of_range"}),
        ("long ago", {"created_at": "0044-03-15 12:00:00+00 BC"}, [{}], {"time_out_of_range"}),
        ("all at once", {"status": "", "total_amount": 11, "shipping_address": ""}, [{}],
         {"status_unknown", "total_mismatch", "shipping_address_missing"}),
    ]
    if schema == DOCUMENTED:
        return both + [
            ("currency", {"currency": "usd"}, [{}], {"currency_invalid"}),
            ("long notes", {"notes": "n" * 2001}, [{}], {"notes_too_long"}),
            ("bell", {"notes": "\x07"}, [{}], {"notes_control_character"}),
            ("subtotal", {"total_amount": 11}, [{"subtotal": 11}], {"subtotal_mismatch"}),
        ]
    return both + [
        ("not a uuid", {"id": "order-17"}, [{}], {"id_invalid"}),
        ("twice", {"id": "FACE0000-0000-4000-8000-000000000001"}, [{}], {"id_doubled"}),
        ("once more", {"id": "face0000-0000-4000-8000-000000000001"}, [{}], {"id_doubled"}),
        ("numbered line", {}, [{"id": "17"}], {"line_id_invalid"}),
        ("line", {}, [{"id": "face0000-0000-4000-8000-00000000000a"}], {"line_id_doubled"}),
        ("line again", {}, [{"id": "FACE0000-0000-4000-8000-00000000000A"}], {"line_id_doubled"}),
        ("long user", {"user_id": "u" * 256}, [{}], {"user_id_too_long"}),
        ("long product", {}, [{"product_id": "p" * 256}], {"product_id_too_long"}),
        ("noise", {"total_amount": "0.1::float8 + 0.2::float8 + 9.7"}, [{}], set()),
        ("more noise", {"total_amount": "10.000000000000002::float8"}, [{}], {"amount_inexact"}),
        ("mills", {"total_amount": 9.999}, [{"price": 9.999}], {"amount_inexact"}),
        ("huge", {"total_amount": 1e15}, [{"price": "1e15"}], {"amount_out_of_range"}),
        ("largest", {"total_amount": 1e9}, [{"price": 1000000, "quantity": 1000}], {"amount_out_of_range"}),
        ("endless", {"total_amount": "'Infinity'"}, [{}], {"amount_out_of_range"}),
        ("no number", {}, [{"price": "'NaN'"}], {"amount_out_of_range"}),
        ("all taken out", {}, [{"deleted_at": "2024-01-01 00:00Z"}], {"no_lines"}),
    ]


def literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return repr(value)
    if value.startswith("'") or "::" in value:
        return value
    return "'" + value.replace("'", "''") + "'"


def insert(table: str, columns: dict) -> str:
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join(map(literal, columns.values()))});"


def fault_statements(schema: str, copy: int = 0) -> tuple[list[str], dict[str, set[str]]]:
    """The statements that make the faulty orders, and the reasons that the report must name, by
    id. Copies above 0 leave out those whose ids are part of the fault."""
    statements, expected = [], {}
    for n, (_, overrides, lines, reasons) in enumerate(faults(schema)):
        fixed = "id" in overrides or any("id" in line for line in lines)
        if copy and fixed:
            continue
        order = {"id": f"fa{copy:06x}-0000-4000-8000-{n:012x}", "user_id": "faulty", "status": "pending",
                 "total_amount": 10 * len(lines), "shipping_address": "1 Side Street",
                 "billing_address": "1 Side Street", "created_at": "2024-02-01 00:00Z",
                 "updated_at": "2024-02-01 00:00Z", **overrides}
        statements.append(insert("orders", order))
        for k, changes in enumerate(lines):
            line = {"id": f"fb{copy:06x}-{n:04x}-4000-8000-{k:012x}", "order_id": order["id"],
                    "product_id": "prod-1", "quantity": 1, "price": 10,
                    "created_at": "2024-02-01 00:00Z", **changes}
            if schema == DOCUMENTED:
                line["unit_price"] = line.pop("price")
                line.setdefault("subtotal", line["unit_price"] * line["quantity"])
                line["updated_at"] = line["created_at"]
            statements.append(insert("order_items", line))
        if reasons:
            expected[order["id"]] = reasons
    return statements, expected


def orphan(schema: str) -> str:
    line = {"id": "fc000000-0000-4000-8000-000000000000", "product_id": "lost", "quantity": 1}
    if schema == DOCUMENTED:
        return insert("order_items", {**line, "unit_price": 1, "subtotal": 1})
    return insert("order_items", {**line, "order_id": "gone", "price": 1})
