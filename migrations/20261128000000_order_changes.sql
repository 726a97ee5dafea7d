-- migrate:up

-- What the service does to orders, one function for each change. A connection keeps the plans
-- of a function, while a statement that is sent is parsed and planned anew each time, which
-- took Postgres as long as the work itself. A release that needs more replaces a function by
-- one that understands the release before too.

-- The lines of a request, numbered in their order.
create function order_lines(lines json) returns table (
    line bigint, id uuid, product_id text, quantity integer, unit_price decimal, subtotal decimal,
    price_as_of timestamptz)
language sql stable parallel safe
begin atomic
    select i.line, i.id, i.product_id, i.quantity, i.unit_price, i.subtotal, i.price_as_of
    from rows from (json_to_recordset(lines) as (
        id uuid, product_id text, quantity integer, unit_price decimal(10, 2),
        subtotal decimal(10, 2), price_as_of timestamptz))
        with ordinality as i (id, product_id, quantity, unit_price, subtotal, price_as_of, line);
end;

-- Stores an order with its body, its lines, its key and its first event, and returns its
-- document; or null, and does nothing, if it or its key is there already. Key and order are one
-- statement, at whose end the key's reference is checked.
create function order_create(request json) returns text
language plpgsql as $$
declare
    o        record;
    document text;
begin
    select * into o from json_to_record(request) as o (
        id uuid, user_id text, total_amount decimal(10, 2), currency text, shipping_address text,
        billing_address text, notes text, order_items json, created_at timestamptz,
        idempotency_key text, fingerprint uuid);

    with key as (
        insert into idempotency_keys (user_id, key, order_id, fingerprint)
        select o.user_id, o.idempotency_key, o.id, o.fingerprint
        where o.idempotency_key is not null
        on conflict do nothing
        returning true
    )
    insert into orders (id, user_id, total_amount, currency, shipping_address, billing_address,
                        notes, created_at, updated_at, body)
    select o.id, o.user_id, o.total_amount, o.currency, o.shipping_address, o.billing_address,
           o.notes, o.created_at, o.created_at,
           order_body(o.id, o.user_id, o.total_amount, o.currency, o.shipping_address,
                      o.billing_address, o.notes,
                      string_agg(order_line(i.id, o.id, i.product_id, i.quantity, i.unit_price,
                                            i.subtotal, i.price_as_of, o.created_at, o.created_at),
                                 ',' order by i.line),
                      o.created_at)
    from order_lines(o.order_items) as i
    having o.idempotency_key is null or exists (select from key)
    on conflict (id) do nothing
    returning order_document(orders.id, orders.body, orders.status, orders.version,
                             orders.updated_at) into document;
    if not found then
        return null;
    end if;

    insert into order_events (order_id, sequence, to_status, created_at)
    values (o.id, 1, 'pending', o.created_at);

    insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal,
                             price_as_of, created_at, updated_at, in_body)
    select i.id, o.id, i.line, i.product_id, i.quantity, i.unit_price, i.subtotal, i.price_as_of,
           o.created_at, o.created_at, true
    from order_lines(o.order_items) as i;
    return document;
end
$$;

-- Moves an order to a status from one of those that allow it, if it has one of the versions (null:
-- any), records the event, and returns the order as it is then; no row if there is none. Of two
-- that race, one finds the order as the other left it. An order that is not among the live ones,
-- or was moved while this waited for it, is in the archive, where it allows no change.
create function order_change_status(
    order_id uuid, to_status text, allowed text[], reason text, versions text[]
) returns table (was text, is_made boolean, version integer, document text)
language plpgsql as $$
declare
    o record;
begin
    select orders.id, orders.body, orders.status, orders.version, orders.updated_at into o
    from only orders where id = order_change_status.order_id for update;
    is_made := found and o.status = any (allowed)
               and (versions is null or o.version::text = any (versions));
    if not found then
        -- Another statement, so that it sees what has been moved.
        select orders.id, orders.body, orders.status, orders.version, orders.updated_at into o
        from orders where id = order_change_status.order_id;
        if not found then
            return;
        end if;
    end if;
    was := o.status;
    if is_made then
        update only orders
        set status = order_change_status.to_status, version = o.version + 1,
            updated_at = greatest(clock_timestamp(), o.updated_at)
        where id = o.id
        returning orders.id, orders.body, orders.status, orders.version, orders.updated_at into o;

        insert into order_events (order_id, sequence, from_status, to_status, reason, created_at)
        values (o.id, o.version, was, o.status, order_change_status.reason, o.updated_at);
    end if;
    version := o.version;
    document := order_document(o.id, o.body, o.status, o.version, o.updated_at);
    return next;
end
$$;

-- migrate:down

drop function order_change_status(uuid, text, text[], text, text[]);
drop function order_create(json);
drop function order_lines(json);
