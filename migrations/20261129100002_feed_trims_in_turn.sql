-- migrate:up

-- Takes the events out of the feed that are older than `age`, oldest first; they stay in the
-- history of their orders. `call order_feed_trim('90 days')`, outside of a transaction. One run
-- at a time: another would take back the mark that tells readers what they have missed. And not
-- while an erasure or the archive is at work on events: they would wait for each other.
create or replace procedure order_feed_trim(age interval, batch integer default 1000)
language plpgsql as $$
declare
    last_position bigint;
    last_number   bigint;
begin
    loop
        perform from order_feed for no key update;
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

create or replace procedure order_erase(name text, batch integer default 1000)
language plpgsql as $$
declare
    ids uuid[];
begin
    if name like 'erased:%' then
        raise exception 'an erased order belongs to nobody';
    end if;
    if batch is null or batch < 1 then
        raise exception 'order_erase(name, batch): a user, and how many orders in a transaction';
    end if;
    loop
        -- Nothing is taken out of the feed while its events are changed.
        perform from order_feed for share;
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

create or replace procedure order_erase(name text, batch integer default 1000)
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

create or replace procedure order_feed_trim(age interval, batch integer default 1000)
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
