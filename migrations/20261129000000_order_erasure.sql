-- migrate:up

-- Whether the event is the erasure of whatever told who ordered.
alter table order_events add column erases boolean not null default false;
create index order_events_erased_idx on order_events (created_at) where erases;

create or replace function order_event(e order_events, body text) returns text
language plpgsql stable as $$
begin
    return '{"id":"' || e.order_id || ':' || e.sequence || '","order_id":"' || e.order_id
        || '","sequence":' || e.sequence
        || ',"type":"' || case when e.from_status is null then 'order.created'
                               when e.erases then 'order.erased'
                               else 'order.status_changed' end
        || '","from":' || coalesce('"' || e.from_status || '"', 'null')
        || ',"to":"' || e.to_status || '","at":"' || order_moment(e.created_at)
        || '","order":' || order_document(e.order_id, body, e.to_status, e.sequence, e.created_at)
        || '}';
end
$$;

-- Takes a user out of all orders: the name, the addresses, the notes, what was said at changes,
-- and the keys of creations. Lines, amounts, statuses and moments stay. Each order gets a name
-- of its own, so that nobody can tell any more which were one user's, and a new version, which
-- makes older copies of it stale, and an event. `call order_erase('user123')`, outside of a
-- transaction; again, if the user has ordered meanwhile. What is in the archive has its events there.
create procedure order_erase(name text, batch integer default 1000)
language plpgsql as $$
declare
    ids uuid[];
begin
    if name like 'erased:%' then
        raise exception 'an erased order belongs to nobody';
    end if;
    loop
        select array_agg(id) into ids
        from (select id from orders where user_id = name order by id limit batch for update) as found;
        if ids is null then
            -- Those that were moved while this waited for them are found by the next statement.
            exit when not exists (select from orders where user_id = name);
            continue;
        end if;
        delete from idempotency_keys where order_id = any (ids);
        update order_events set reason = null where order_id = any (ids) and reason is not null;
        update orders
        set user_id = 'erased:' || id, shipping_address = 'erased', billing_address = 'erased',
            notes = null, version = version + 1, updated_at = greatest(clock_timestamp(), updated_at)
        where id = any (ids);
        insert into order_events (order_id, sequence, from_status, to_status, created_at, erases)
        select id, version, status, status, updated_at, true from only orders where id = any (ids);
        if to_regclass('archived_orders') is not null then
            insert into archived_order_events (order_id, sequence, from_status, to_status, created_at,
                                               erases)
            select id, version, status, status, updated_at, true
            from archived_orders where id = any (ids);
        end if;
        -- Older events show the order's body too.
        update orders set body = order_body_of(id) where id = any (ids);
        commit;
    end loop;
    delete from user_order_counts where user_id = name and count = 0;
end
$$;

-- migrate:down

drop procedure order_erase(text, integer);
create or replace function order_event(e order_events, body text) returns text
language plpgsql stable as $$
begin
    return '{"id":"' || e.order_id || ':' || e.sequence || '","order_id":"' || e.order_id
        || '","sequence":' || e.sequence
        || ',"type":"' || case when e.from_status is null then 'order.created'
                               else 'order.status_changed' end
        || '","from":' || coalesce('"' || e.from_status || '"', 'null')
        || ',"to":"' || e.to_status || '","at":"' || order_moment(e.created_at)
        || '","order":' || order_document(e.order_id, body, e.to_status, e.sequence, e.created_at)
        || '}';
end
$$;
drop index order_events_erased_idx;
alter table order_events drop column erases;
-- The archive's table has the column as its own too.
alter table if exists archived_order_events drop column erases;
