-- migrate:up

-- Takes these orders into the archive, with all that belongs to them. Whoever calls it has
-- locked them. A line that a body has is no new one there. (Before, orders whose lines were older
-- than bodies lost theirs: `call orders_fill_bodies()` makes them again.)
create or replace procedure orders_move_to_archive(ids uuid[])
language plpgsql as $$
begin
    perform set_config('orders.are_moving', 'yes', true);
    update only orders set body = order_body_of(id) where id = any (ids) and body is null;
    update only order_items set in_body = true where order_id = any (ids) and not in_body;
    insert into archived_orders select * from only orders where id = any (ids);
    with gone as (delete from only order_items where order_id = any (ids) returning *)
    insert into archived_order_items select * from gone;
    with gone as (delete from only order_events where order_id = any (ids) returning *)
    insert into archived_order_events select * from gone;
    with gone as (delete from only idempotency_keys where order_id = any (ids) returning *)
    insert into archived_idempotency_keys select * from gone;
    delete from only orders where id = any (ids);
    perform set_config('orders.are_moving', '', true);
end
$$;

-- The archive's tables belong to whom the live ones belong to, whoever makes the first run.
alter procedure order_archive_create() security definer set search_path = public, pg_temp;
revoke execute on procedure order_archive_create() from public;

-- migrate:down

grant execute on procedure order_archive_create() to public;
alter procedure order_archive_create() security invoker reset search_path;

create or replace procedure orders_move_to_archive(ids uuid[])
language plpgsql as $$
begin
    perform set_config('orders.are_moving', 'yes', true);
    update only orders set body = order_body_of(id) where id = any (ids) and body is null;
    insert into archived_orders select * from only orders where id = any (ids);
    with gone as (delete from only order_items where order_id = any (ids) returning *)
    insert into archived_order_items select * from gone;
    with gone as (delete from only order_events where order_id = any (ids) returning *)
    insert into archived_order_events select * from gone;
    with gone as (delete from only idempotency_keys where order_id = any (ids) returning *)
    insert into archived_idempotency_keys select * from gone;
    delete from only orders where id = any (ids);
    perform set_config('orders.are_moving', '', true);
end
$$;
