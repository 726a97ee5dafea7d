-- migrate:up

-- To be called once after a restore, from a dump or to a moment, before the service starts: readers'
-- cursors stay valid, and what comes is behind them. A reader may know of more than what was
-- restored, from after an earlier restore too. So positions go on at the clock's microseconds:
-- there are fewer transactions than these, and each call is behind all that came before it.
create or replace function order_feed_after_restore() returns void
language sql
begin atomic
    update order_feed set transaction_offset = greatest(
            (extract(epoch from clock_timestamp()) * 1000000)::bigint,
            1 + greatest(trimmed_position, coalesce((select max(position) from order_events), 0)))
        - pg_current_xact_id()::text::bigint;
end;

-- migrate:down

create or replace function order_feed_after_restore() returns void
language sql
begin atomic
    update order_feed set transaction_offset = greatest(transaction_offset, 1
        + greatest(trimmed_position, coalesce((select max(position) from order_events), 0))
        - pg_current_xact_id()::text::bigint);
end;
