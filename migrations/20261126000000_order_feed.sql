-- migrate:up

-- The keys by which clients repeat a creation without creating twice; each lives as long as its
-- order. A table of its own, so that nothing has to be locked to introduce it.
create table idempotency_keys (
    user_id     varchar(255) not null,
    key         varchar(255) not null,
    order_id    uuid         not null references orders (id) on delete cascade,
    -- Of the request, so that another request under the same key is refused.
    fingerprint uuid         not null,
    primary key (user_id, key)
);
create index idempotency_keys_order_idx on idempotency_keys (order_id);

-- One row: where the change feed stands.
create table order_feed (
    -- Added to the number of a transaction to make a position. A database that was restored from
    -- a dump counts its transactions anew; order_feed_after_restore() sees to it that positions
    -- go on rising.
    transaction_offset bigint not null default 0,
    -- The last event that order_feed_trim() has taken out of the feed.
    trimmed_position   bigint not null default -1,
    trimmed_number     bigint not null default 0,
    only_row           boolean primary key default true check (only_row)
);
insert into order_feed default values;

create sequence order_events_number as bigint;

-- The place of an event in the feed. `position` is the number of the transaction that made it,
-- or of a later one that had changed the order before: so a reader who is shown only positions
-- below every transaction under way (pg_snapshot_xmin) misses nothing, and sees the changes of
-- one order in their order. `number` orders what has the same position. Null: not in the feed
-- any more.
alter table order_events
    add column position bigint,
    add column number   bigint;
alter table order_events alter column number set default nextval('order_events_number');
alter sequence order_events_number owned by order_events.number;

-- Whoever writes events, by hand too, gives them their place. Each statement in here sees what
-- was committed before it, while the row of the order is locked by the change.
create function order_event_placed() returns trigger
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

create trigger order_events_placed before insert on order_events
    for each row execute function order_event_placed();

create index order_events_feed_idx on order_events (position, number) where position is not null;

-- The positions below which nothing can be committed any more.
create function order_feed_end() returns bigint
language sql stable
return pg_snapshot_xmin(pg_current_snapshot())::text::bigint
       + (select transaction_offset from order_feed);

-- An event as the feed shows it: with the document of the order after the change.
create function order_event(e order_events, body text) returns text
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

-- Takes the events out of the feed that are older than `age`, oldest first; they stay in the
-- history of their orders. `call order_feed_trim('90 days')`, outside of a transaction.
create procedure order_feed_trim(age interval, batch integer default 1000)
language plpgsql as $$
declare
    last_position bigint;
    last_number   bigint;
begin
    loop
        -- The oldest of the feed, up to the first that is young enough.
        with oldest as (
            select position, number, created_at < now() - age as is_old from order_events
            where position < order_feed_end() order by position, number limit batch
        ), young as (
            select position, number from oldest where not is_old order by 1, 2 limit 1
        )
        select position, number into last_position, last_number from oldest
        where not exists (select from young where (young.position, young.number)
                                                  <= (oldest.position, oldest.number))
        order by 1 desc, 2 desc limit 1;
        exit when not found;
        -- First, so that a reader never misses an event without being told.
        update order_feed set trimmed_position = last_position, trimmed_number = last_number;
        update order_events set position = null
        where position is not null and (position, number) <= (last_position, last_number);
        commit;
    end loop;
end
$$;

-- To be called once after a restore from a dump, before the service starts: readers' cursors
-- stay valid, and what comes is behind them.
create function order_feed_after_restore() returns void
language sql
begin atomic
    update order_feed set transaction_offset = greatest(transaction_offset, 1
        + greatest(trimmed_position, coalesce((select max(position) from order_events), 0))
        - pg_current_xact_id()::text::bigint);
end;

-- migrate:down

drop function order_feed_after_restore();
drop procedure order_feed_trim(interval, integer);
drop function order_event(order_events, text);
drop function order_feed_end();
drop index order_events_feed_idx;
drop trigger order_events_placed on order_events;
drop function order_event_placed();
alter table order_events drop column position, drop column number;
drop table order_feed;
drop table idempotency_keys;
