-- Fills the database with orders until there are as many as `seed.orders` says:
--
--   psql -c 'set seed.orders = 1000000' -f bench/seed.sql
--
-- Each has two items, its body and the events of its status. They belong to 1,000 users, are spread
-- over all statuses at random, and were created at random moments of the last year
-- (or of so many days as `seed.days` says), so that neighbours in a list do not lie next
-- to each other in the table. It is one statement: all of them or none.

with wanted as (
    select n,
           (1 + n % 3)::integer as quantity,
           now() - random() * coalesce(current_setting('seed.days', true), '365')::integer
                   * interval '1 day' as created_at,
           -- One in two is delivered, as in a shop that has been there for a while.
           (array['pending', 'confirmed', 'shipped', 'cancelled', 'delivered', 'delivered',
                  'delivered', 'delivered'])[1 + floor(random() * 8)::int] as status
    from generate_series((select count(*) from orders) + 1,
                         current_setting('seed.orders')::bigint) as n
), histories (status, statuses) as (
    values ('pending', array['pending']),
           ('confirmed', array['pending', 'confirmed']),
           ('shipped', array['pending', 'confirmed', 'shipped']),
           ('delivered', array['pending', 'confirmed', 'shipped', 'delivered']),
           ('cancelled', array['pending', 'cancelled'])
), o as (
    -- The id of an order begins with the milliseconds of its creation (UUIDv7).
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
               placing substring(int8send(floor(extract(epoch from created_at) * 1000)::bigint) from 3)
               from 1 for 6), 52, 1), 53, 1), 'hex')::uuid as id,
           'user' || n % 1000 as user_id, status, statuses, quantity,
           (quantity * 19.99 + 5.01)::decimal(10, 2) as total_amount,
           n || ' Main St, New York, NY 10001' as address,
           case when n % 2 = 0 then 'Please ring doorbell' end as notes, created_at
    from wanted join histories using (status)
), item as (
    select gen_random_uuid() as id, o.id as order_id, line, 'product' || line as product_id,
           item.quantity, unit_price, (unit_price * item.quantity)::decimal(10, 2) as subtotal, created_at
    from o, lateral (values (1, o.quantity, 19.99), (2, 1, 5.01)) as item (line, quantity, unit_price)
), lines as (
    select order_id,
           string_agg(order_line(id, order_id, product_id, quantity, unit_price, subtotal, null,
                                 created_at, created_at), ',' order by line) as lines
    from item group by order_id
), placed as (
    insert into orders (id, user_id, status, total_amount, shipping_address, billing_address,
                        notes, version, created_at, updated_at, body)
    select id, user_id, status, total_amount, address, address, notes, cardinality(statuses),
           created_at, created_at,
           order_body(id, user_id, total_amount, 'USD', address, address, notes, lines, created_at)
    from o join lines on order_id = id
), events as (
    insert into order_events (order_id, sequence, from_status, to_status, created_at)
    select id, sequence, statuses[sequence - 1], statuses[sequence], created_at
    from o, generate_series(1, cardinality(statuses)) as sequence
)
insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal,
                         created_at, updated_at, in_body)
select id, order_id, line, product_id, quantity, unit_price, subtotal, created_at, created_at, true
from item;
