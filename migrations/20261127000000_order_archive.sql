-- migrate:up

-- Orders that are old and final lie apart, so that the tables and indexes that are worked on stay
-- small. The archive's tables inherit from the live ones: a statement on `orders` reads and
-- changes both, unless it says `only orders`. So lists, totals, histories and the feed, the
-- release before and a hand at psql see all orders as ever, and need to know nothing of this.

-- One row: how far the archive goes.
create table order_archive (
    -- The last run has moved what was created before this day (UTC) and was final.
    before   date,
    ended_at timestamptz,
    only_row boolean primary key default true check (only_row)
);
insert into order_archive default values;

-- Whether this transaction takes orders from one table to another: nothing about them changes,
-- so no count does, and no body is forgotten.
create function orders_are_moving() returns boolean
language sql stable
return coalesce(current_setting('orders.are_moving', true), '') = 'yes';

create or replace trigger orders_counted_delete after delete on orders
    referencing old table as delta for each statement
    when (not orders_are_moving()) execute function orders_counted('-1');
create or replace trigger order_items_changed after update or delete on order_items
    for each row when (not orders_are_moving()) execute function order_line_changed();

-- Makes the archive's tables, if they are not there. The first run does, not this migration: who
-- never archives has lists of one table; and of an empty table that others inherit from Postgres
-- believes that it stays empty, and would keep a plan that reads the whole of it.
create procedure order_archive_create()
language plpgsql as $$
begin
    if to_regclass('archived_orders') is not null then
        return;
    end if;
    create table archived_orders (like orders including all) inherits (orders);
    create table archived_order_items (
        like order_items including all,
        foreign key (order_id) references archived_orders (id) on delete cascade
    ) inherits (order_items);
    create table archived_order_events (
        like order_events including all,
        foreign key (order_id) references archived_orders (id) on delete cascade
    ) inherits (order_events);
    create table archived_idempotency_keys (
        like idempotency_keys including all,
        foreign key (order_id) references archived_orders (id) on delete cascade
    ) inherits (idempotency_keys);

    -- What the live tables' triggers do, for statements that name the archive, and for its rows.
    create trigger archived_orders_counted_delete after delete on archived_orders
        referencing old table as delta for each statement
        when (not orders_are_moving()) execute function orders_counted('-1');
    create trigger archived_orders_counted_insert after insert on archived_orders
        referencing new table as delta for each statement
        when (not orders_are_moving()) execute function orders_counted('1');
    create trigger archived_orders_recounted after update on archived_orders
        referencing old table as was new table as is_now
        for each statement execute function orders_recounted();
    create trigger archived_orders_truncated after truncate on archived_orders
        for each statement execute function orders_truncated();
    create trigger archived_orders_body_forgotten
        before update of id, user_id, total_amount, currency, shipping_address, billing_address,
                         notes, created_at
        on archived_orders for each row execute function order_body_forgotten();
    create trigger archived_order_events_placed before insert on archived_order_events
        for each row when (not orders_are_moving()) execute function order_event_placed();
    create trigger archived_order_items_changed after update or delete on archived_order_items
        for each row when (not orders_are_moving()) execute function order_line_changed();
    create trigger archived_order_items_added after insert on archived_order_items
        for each row when (not new.in_body) execute function order_line_changed();
end
$$;

-- Of the two tables one may be emptied alone: what is left is counted.
create or replace function orders_truncated() returns trigger
language plpgsql as $$
begin
    delete from order_counts;
    delete from order_day_counts;
    delete from user_order_counts;
    insert into order_counts (status, shard, count)
    select status, order_shard(id), count(*) from orders group by 1, 2;
    insert into order_day_counts (day, status, shard, count)
    select order_day(created_at), status, order_shard(id), count(*) from orders group by 1, 2, 3;
    insert into user_order_counts (user_id, status, count)
    select user_id, status, count(*) from orders group by 1, 2;
    return null;
end
$$;

-- The last event of an order has its highest position; found by its place in the order, so that no
-- index of all positions is walked.
create or replace function order_event_placed() returns trigger
language plpgsql as $$
begin
    new.position := pg_current_xact_id()::text::bigint + (select transaction_offset from order_feed);
    if new.sequence > 1 then
        new.position := greatest(new.position, (
            select position from order_events
            where order_id = new.order_id and sequence < new.sequence
            order by sequence desc limit 1));
    end if;
    return new;
end
$$;

-- The order with this id. Most are live ones; the archive is asked for the others. (Stable: both
-- statements see the same moment, so that an order that moves is found.)
create function order_by_id(id uuid) returns setof orders
language plpgsql stable as $$
begin
    return query select * from only orders where orders.id = order_by_id.id;
    if not found then
        return query select * from orders where orders.id = order_by_id.id;
    end if;
end
$$;

-- The order that a user has created with this key, likewise.
create function order_by_key(user_id text, key text)
returns table (id uuid, fingerprint uuid, body text, created_at timestamptz)
language plpgsql stable as $$
begin
    return query
        select o.id, k.fingerprint, o.body, o.created_at
        from only idempotency_keys as k join only orders as o on o.id = k.order_id
        where k.user_id = order_by_key.user_id and k.key = order_by_key.key;
    if not found then
        return query
            select o.id, k.fingerprint, o.body, o.created_at
            from idempotency_keys as k join orders as o on o.id = k.order_id
            where k.user_id = order_by_key.user_id and k.key = order_by_key.key;
    end if;
end
$$;

-- Takes these orders into the archive, with all that belongs to them. Whoever calls it has
-- locked them.
create procedure orders_move_to_archive(ids uuid[])
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

-- Takes the final orders that were created before this day (UTC) into the archive, month by
-- month, so many at a time. Each time is a transaction, so the run may be ended at any moment
-- and begun again; orders that somebody holds are left for the next run.
-- `call orders_archive('2026-01-01')`, outside of a transaction.
create procedure orders_archive(before date, batch integer default 500)
language plpgsql as $$
declare
    -- A creation that is under way looks for its key once more when it stores the order, among
    -- the live ones. What was created today is left to it.
    ends_at constant timestamptz := least(before::timestamp at time zone 'utc',
                                          now() - interval '1 day');
    month_starts_at timestamptz;
    month_ends_at   timestamptz;
    last_created_at timestamptz;
    last_id         uuid;
    ids             uuid[];
    moved           bigint;
begin
    if before is null or batch is null or batch < 1 then
        raise exception 'orders_archive(before, batch): a day, and a number of orders';
    end if;
    call order_archive_create();
    commit;
    loop
        select date_trunc('month', min(created_at), 'UTC') into month_starts_at
        from only orders
        where status in ('delivered', 'cancelled') and created_at < ends_at
              and (month_ends_at is null or created_at >= month_ends_at);
        exit when month_starts_at is null;
        month_ends_at := (month_starts_at at time zone 'utc' + interval '1 month')
                         at time zone 'utc';
        last_created_at := month_starts_at;
        last_id := '00000000-0000-0000-0000-000000000000';
        moved := 0;
        loop
            -- Events must not be taken out of the feed (order_feed_trim) while they move.
            perform from order_feed for share;
            select array_agg(id order by created_at, id) into ids
            from (select id, created_at from only orders
                  where status in ('delivered', 'cancelled')
                        and (created_at, id) > (last_created_at, last_id)
                        and created_at < least(month_ends_at, ends_at)
                  order by created_at, id limit batch for update skip locked) as old;
            exit when ids is null;
            last_id := ids[cardinality(ids)];
            select created_at into last_created_at from only orders where id = last_id;
            call orders_move_to_archive(ids);
            moved := moved + cardinality(ids);
            commit;
        end loop;
        raise notice '%: % orders', to_char(month_starts_at at time zone 'utc', 'YYYY-MM'), moved;
    end loop;
    update order_archive set before = orders_archive.before, ended_at = clock_timestamp();
end
$$;

-- migrate:down

-- Everything goes back, with its place in the feed.
do $$
begin
    if to_regclass('archived_orders') is null then
        return;
    end if;
    alter table orders disable trigger orders_counted_insert;
    alter table order_items disable trigger order_items_added;
    alter table order_events disable trigger order_events_placed;
    insert into orders select * from archived_orders;
    insert into order_items select * from archived_order_items;
    insert into order_events select * from archived_order_events;
    insert into idempotency_keys select * from archived_idempotency_keys;
    alter table orders enable trigger orders_counted_insert;
    alter table order_items enable trigger order_items_added;
    alter table order_events enable trigger order_events_placed;
    drop table archived_idempotency_keys, archived_order_events, archived_order_items,
               archived_orders;
end
$$;

drop procedure orders_archive(date, integer);
drop procedure orders_move_to_archive(uuid[]);
drop procedure order_archive_create();
drop function order_by_key(text, text);
drop function order_by_id(uuid);
drop table order_archive;

create or replace function order_event_placed() returns trigger
language plpgsql as $$
begin
    new.position := pg_current_xact_id()::text::bigint + (select transaction_offset from order_feed);
    if new.sequence > 1 then
        new.position := greatest(new.position, (
            select max(position) from order_events where order_id = new.order_id));
    end if;
    return new;
end
$$;

create or replace function orders_truncated() returns trigger
language plpgsql as $$
begin
    delete from order_counts;
    delete from order_day_counts;
    delete from user_order_counts;
    return null;
end
$$;

create or replace trigger order_items_changed after update or delete on order_items
    for each row execute function order_line_changed();
create or replace trigger orders_counted_delete after delete on orders
    referencing old table as delta for each statement execute function orders_counted('-1');
drop function orders_are_moving();
