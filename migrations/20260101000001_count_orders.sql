-- migrate:up

-- Exact numbers of orders, so that the total of a list is read, not counted.
-- Triggers keep them within the transaction that changes the orders, whoever writes.

-- Of all orders. The shard (derived from the order's id) keeps writers that have nothing
-- else in common from waiting for each other's row lock.
create table order_counts (
    status varchar(50) not null,
    shard  smallint    not null,
    count  bigint      not null,
    primary key (status, shard)
) with (fillfactor = 50);

-- Of the orders created on a day (UTC), for lists that span some time.
create table order_day_counts (
    day    date        not null,
    status varchar(50) not null,
    shard  smallint    not null,
    count  bigint      not null,
    primary key (day, status, shard)
) with (fillfactor = 50);

-- Of one user's orders.
create table user_order_counts (
    user_id varchar(255) not null,
    status  varchar(50)  not null,
    count   bigint       not null,
    primary key (user_id, status)
) with (fillfactor = 70);

create function order_shard(id uuid) returns smallint
language sql immutable parallel safe
return (uuid_hash(id) & 15)::smallint;

create function order_day(created_at timestamptz) returns date
language sql immutable parallel safe
return (created_at at time zone 'utc')::date;

-- Adds the orders in `delta` to the counts, times the argument: 1 or -1. An update is the
-- removal of the old rows and then the addition of the new ones. Every writer locks the
-- rows of the counts in the same order (by table within a status, and an order's status
-- only ever moves on), so that writers cannot deadlock.
create function orders_counted() returns trigger
language plpgsql as $$
declare
    sign constant integer := tg_argv[0];
begin
    insert into order_counts as c (status, shard, count)
    select status, order_shard(id), sign * count(*) from delta group by 1, 2 order by 1, 2
    on conflict (status, shard) do update set count = c.count + excluded.count;

    insert into order_day_counts as c (day, status, shard, count)
    select order_day(created_at), status, order_shard(id), sign * count(*)
    from delta group by 1, 2, 3 order by 1, 2, 3
    on conflict (day, status, shard) do update set count = c.count + excluded.count;

    insert into user_order_counts as c (user_id, status, count)
    select user_id, status, sign * count(*) from delta group by 1, 2 order by 1, 2
    on conflict (user_id, status) do update set count = c.count + excluded.count;
    return null;
end
$$;

create function orders_truncated() returns trigger
language plpgsql as $$
begin
    delete from order_counts;
    delete from order_day_counts;
    delete from user_order_counts;
    return null;
end
$$;

-- No order may come between the counts below and the triggers.
lock table orders in share row exclusive mode;

-- Triggers fire in the order of their names: what was goes before what is.
create trigger orders_counted_delete after delete on orders
    referencing old table as delta for each statement execute function orders_counted('-1');
create trigger orders_counted_insert after insert on orders
    referencing new table as delta for each statement execute function orders_counted('1');
create trigger orders_counted_update_1_old after update on orders
    referencing old table as delta for each statement execute function orders_counted('-1');
create trigger orders_counted_update_2_new after update on orders
    referencing new table as delta for each statement execute function orders_counted('1');
create trigger orders_truncated after truncate on orders
    for each statement execute function orders_truncated();

insert into order_counts (status, shard, count)
select status, order_shard(id), count(*) from orders group by 1, 2;
insert into order_day_counts (day, status, shard, count)
select order_day(created_at), status, order_shard(id), count(*) from orders group by 1, 2, 3;
insert into user_order_counts (user_id, status, count)
select user_id, status, count(*) from orders group by 1, 2;

-- migrate:down

drop trigger orders_truncated on orders;
drop trigger orders_counted_update_2_new on orders;
drop trigger orders_counted_update_1_old on orders;
drop trigger orders_counted_insert on orders;
drop trigger orders_counted_delete on orders;
drop function orders_truncated();
drop function orders_counted();
drop function order_day(timestamptz);
drop function order_shard(uuid);
drop table user_order_counts;
drop table order_day_counts;
drop table order_counts;
