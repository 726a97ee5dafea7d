-- Takes the final orders of old months into the archive (psql only). So many whole months before
-- this one stay: the variable `months`, or MONTHS in the environment. Run by the owner of the
-- tables; it may be ended at any time, and run beside everything else.
\set ON_ERROR_STOP on
\if :{?months}
\else
\getenv months MONTHS
\endif
select (date_trunc('month', now() at time zone 'utc')
        - make_interval(months => greatest(:'months'::integer, 1)))::date as before \gset
\echo orders created before :before that are delivered or cancelled
call orders_archive(:'before');
-- What they leave behind is room for new ones. Nothing waits for this.
vacuum (analyze) orders, order_items, order_events, idempotency_keys, archived_orders,
    archived_order_items, archived_order_events, archived_idempotency_keys;
