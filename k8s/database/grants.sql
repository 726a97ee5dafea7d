-- What the service's role may do, table by table. Run by the owner of the tables
-- (order_migrations) after every migration; the whole of it is set anew, so that a right
-- that is not written here does not exist. Plain SQL, no psql commands.

begin;

revoke all on all tables in schema public from order_service;
revoke all on all sequences in schema public from order_service;

grant select, insert, update on orders to order_service;
grant select, insert on order_items to order_service;
grant select, insert on order_events to order_service;
grant usage on sequence order_events_number to order_service;
grant select, insert on idempotency_keys to order_service;
grant select on order_feed to order_service;

-- What is allowed with the tables above is allowed with the archive's, through them only.
grant select on order_archive to order_service;

-- Readiness: whether the migrations that this version needs are there.
grant select on schema_migrations to order_service;

-- Kept by triggers, which act as the role that changes the orders.
grant select, insert, update on order_counts to order_service;
grant select, insert, update on order_day_counts to order_service;
grant select, insert, update on user_order_counts to order_service;

commit;
