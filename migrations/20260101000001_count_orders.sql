-- migrate:up

-- Exact numbers of orders, so that the total of a list is read, not counted.
-- A trigger keeps them within the transaction that changes the orders, whoever writes.

-- Of all orders. The shard (derived from the order's id) keeps writers that have nothing
-- else in common from waiting for each other's row lock.
create table order_counts (
    shard  smallint    not null,
    status varchar(50) not null,
    count  bigint      not null,
    primary key (shard, status)
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

-- One statement-level trigger for each operation, because transition tables allow no more.
-- Rows are always locked in the same order (by key), so that writers cannot deadlock.
create function orders_counted() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into order_counts as c (shard, status, count)
        select order_shard(id), status, count(*) from added group by 1, 2 order by 1, 2
        on conflict (shard, status) do update set count = c.count + excluded.count;
        insert into user_order_counts as c (user_id, status, count)
        select user_id, status, count(*) from added group by 1, 2 order by 1, 2
        on conflict (user_id, status) do update set count = c.count + excluded.count;
    elsif tg_op = 'DELETE' then
        insert into order_counts as c (shard, status, count)
        select order_shard(id), status, -count(*) from removed group by 1, 2 order by 1, 2
        on conflict (shard, status) do update set count = c.count + excluded.count;
        insert into user_order_counts as c (user_id, status, count)
        select user_id, status, -count(*) from removed group by 1, 2 order by 1, 2
        on conflict (user_id, status) do update set count = c.count + excluded.count;
    else
        insert into order_counts as c (shard, status, count)
        select order_shard(id), status, sum(n)
        from (select id, status, 1 as n from added union all select id, status, -1 from removed) as d
        group by 1, 2 having sum(n) <> 0 order by 1, 2
        on conflict (shard, status) do update set count = c.count + excluded.count;
        insert into user_order_counts as c (user_id, status, count)
        select user_id, status, sum(n)
        from (select user_id, status, 1 as n from added union all select user_id, status, -1 from removed) as d
        group by 1, 2 having sum(n) <> 0 order by 1, 2
        on conflict (user_id, status) do update set count = c.count + excluded.count;
    end if;
    return null;
end
$$;

create function orders_truncated() returns trigger
language plpgsql as $$
begin
    delete from order_counts;
    delete from user_order_counts;
    return null;
end
$$;

-- No order may come between the count below and the triggers.
lock table orders in share row exclusive mode;

create trigger orders_counted_insert after insert on orders
    referencing new table as added
    for each statement execute function orders_counted();
create trigger orders_counted_update after update on orders
    referencing old table as removed new table as added
    for each statement execute function orders_counted();
create trigger orders_counted_delete after delete on orders
    referencing old table as removed
    for each statement execute function orders_counted();
create trigger orders_truncated after truncate on orders
    for each statement execute function orders_truncated();

insert into order_counts (shard, status, count)
select order_shard(id), status, count(*) from orders group by 1, 2;
insert into user_order_counts (user_id, status, count)
select user_id, status, count(*) from orders group by 1, 2;

-- migrate:down

drop trigger orders_truncated on orders;
drop trigger orders_counted_delete on orders;
drop trigger orders_counted_update on orders;
drop trigger orders_counted_insert on orders;
drop function orders_truncated();
drop function orders_counted();
drop function order_shard(uuid);
drop table user_order_counts;
drop table order_counts;
