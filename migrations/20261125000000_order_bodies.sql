-- migrate:up

-- An order's document is its body, everything that never changes, and its head: status,
-- version and the moment of the last change. The body is made once, by the statement that
-- creates the order, and kept here as compact JSON: an object that the head has yet to close.
-- It is a copy. Null: not made yet, or made from what has been changed since; readers then
-- make it themselves, from the same functions.
alter table orders add column body text;

-- UTC with microseconds, whatever the session's settings are.
create function order_moment(at timestamptz) returns text
language sql stable parallel safe
return to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- A line of an order's document.
create function order_line(
    id uuid, order_id uuid, product_id text, quantity integer, unit_price decimal, subtotal decimal,
    price_as_of timestamptz, created_at timestamptz, updated_at timestamptz
) returns text
language plpgsql stable parallel safe as $$
begin
    return '{"id":"' || id || '","order_id":"' || order_id
        || '","product_id":' || to_json(product_id) || ',"quantity":' || quantity
        || ',"unit_price":' || unit_price || ',"subtotal":' || subtotal
        || ',"price_as_of":' || coalesce('"' || order_moment(price_as_of) || '"', 'null')
        || ',"created_at":"' || order_moment(created_at)
        || '","updated_at":"' || order_moment(updated_at) || '"}';
end
$$;

-- An order's body; `lines` are those of order_line, with commas between them.
create function order_body(
    id uuid, user_id text, total_amount decimal, currency text, shipping_address text,
    billing_address text, notes text, lines text, created_at timestamptz
) returns text
language plpgsql stable parallel safe as $$
begin
    return '{"id":"' || id || '","user_id":' || to_json(user_id)
        || ',"total_amount":' || total_amount || ',"currency":"' || currency
        || '","shipping_address":' || to_json(shipping_address)
        || ',"billing_address":' || to_json(billing_address)
        || ',"notes":' || coalesce(to_json(notes)::text, 'null')
        || ',"order_items":[' || coalesce(lines, '')
        || '],"created_at":"' || order_moment(created_at) || '"';
end
$$;

-- The body of an order as it lies in the tables.
create function order_body_of(id uuid) returns text
language sql stable parallel safe
begin atomic
    select order_body(
        o.id, o.user_id, o.total_amount, o.currency, o.shipping_address, o.billing_address, o.notes,
        (select string_agg(
            order_line(i.id, i.order_id, i.product_id, i.quantity, i.unit_price, i.subtotal,
                       i.price_as_of, i.created_at, i.updated_at),
            ',' order by i.line)
         from order_items as i where i.order_id = o.id),
        o.created_at)
    from orders as o where o.id = order_body_of.id;
end;

-- An order's document, for every reader: the body, or what it would be, and the head.
create function order_document(
    id uuid, body text, status text, version integer, updated_at timestamptz
) returns text
language plpgsql stable parallel safe as $$
begin
    return coalesce(body, order_body_of(id))
        || (',"status":"' || status || '","version":' || version
            || ',"updated_at":"' || order_moment(updated_at) || '"}');
end
$$;

-- A body is forgotten when something that it was made from changes, whoever changes it. The
-- statements of the service change nothing of the kind, so that none of these triggers runs.
create function order_body_forgotten() returns trigger
language plpgsql as $$
begin
    new.body := null;
    return new;
end
$$;

create trigger orders_body_forgotten
    before update of id, user_id, total_amount, currency, shipping_address, billing_address, notes,
                     created_at
    on orders for each row execute function order_body_forgotten();

-- Whether the statement that inserted the line has put it into the body too. Other statements
-- know nothing of bodies.
alter table order_items add column in_body boolean not null default false;

-- It updates the order whether it has a body or not: somebody may be about to store one that
-- was made before the change, and this waits for him.
create function order_line_changed() returns trigger
language plpgsql as $$
begin
    update orders set body = null where id in (old.order_id, new.order_id);
    return null;
end
$$;

create trigger order_items_changed after update or delete on order_items
    for each row execute function order_line_changed();
create trigger order_items_added after insert on order_items
    for each row when (not new.in_body) execute function order_line_changed();

-- An update of orders now counts what it has changed, in one step instead of two, and writes
-- nothing when it has changed no status, user or day: storing or forgetting a body is no
-- reason to wait for the counts. Every writer locks their rows in the order of table and key.
create function orders_recounted() returns trigger
language plpgsql as $$
begin
    insert into order_counts as c (status, shard, count)
    select status, order_shard(id), sum(n)
    from (select *, -1 as n from was union all select *, 1 from is_now) as delta
    group by 1, 2 having sum(n) <> 0 order by 1, 2
    on conflict (status, shard) do update set count = c.count + excluded.count;

    insert into order_day_counts as c (day, status, shard, count)
    select order_day(created_at), status, order_shard(id), sum(n)
    from (select *, -1 as n from was union all select *, 1 from is_now) as delta
    group by 1, 2, 3 having sum(n) <> 0 order by 1, 2, 3
    on conflict (day, status, shard) do update set count = c.count + excluded.count;

    insert into user_order_counts as c (user_id, status, count)
    select user_id, status, sum(n)
    from (select *, -1 as n from was union all select *, 1 from is_now) as delta
    group by 1, 2 having sum(n) <> 0 order by 1, 2
    on conflict (user_id, status) do update set count = c.count + excluded.count;
    return null;
end
$$;

drop trigger orders_counted_update_1_old on orders;
drop trigger orders_counted_update_2_new on orders;
create trigger orders_recounted after update on orders
    referencing old table as was new table as is_now
    for each statement execute function orders_recounted();

-- Makes the bodies that are missing, a batch at a time, and leaves out orders that somebody
-- is changing at that moment. `call orders_fill_bodies()`, outside of a transaction.
create procedure orders_fill_bodies(batch integer default 1000)
language plpgsql as $$
declare
    ids  uuid[];
    last uuid := '00000000-0000-0000-0000-000000000000';
begin
    loop
        -- Locked first and read by the next statement, so that it sees the last change.
        select array_agg(id order by id) into ids
        from (select id from orders where body is null and id > last
              order by id limit batch for update skip locked) as missing;
        exit when ids is null;
        update orders set body = order_body_of(id) where id = any (ids);
        last := ids[cardinality(ids)];
        commit;
    end loop;
end
$$;

-- migrate:down

drop procedure orders_fill_bodies(integer);
drop trigger orders_recounted on orders;
drop function orders_recounted();
create trigger orders_counted_update_1_old after update on orders
    referencing old table as delta for each statement execute function orders_counted('-1');
create trigger orders_counted_update_2_new after update on orders
    referencing new table as delta for each statement execute function orders_counted('1');
drop trigger order_items_added on order_items;
drop trigger order_items_changed on order_items;
drop function order_line_changed();
alter table order_items drop column in_body;
drop trigger orders_body_forgotten on orders;
drop function order_body_forgotten();
drop function order_document(uuid, text, text, integer, timestamptz);
drop function order_body_of(uuid);
drop function order_body(uuid, text, decimal, text, text, text, text, text, timestamptz);
drop function order_line(
    uuid, uuid, text, integer, decimal, decimal, timestamptz, timestamptz, timestamptz
);
drop function order_moment(timestamptz);
alter table orders drop column body;
