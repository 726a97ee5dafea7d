-- Erases the user that the environment names, and prints the orders whose copies have to go: those
-- of the last day, so that an erasure that broke off can be repeated. By psql, as the owner.
\set ON_ERROR_STOP on
\getenv user ERASE_USER
call order_erase(:'user');
select order_id, max(sequence) from order_events
where erases and created_at > now() - interval '1 day' group by order_id;

-- Postgres keeps values of the rows for its plans, which whoever may read the rows may read too
-- (pg_stats), until it looks at the table again. The archive may not be there.
select 'analyze ' || name
from unnest(array['orders', 'order_events', 'user_order_counts', 'archived_orders',
                  'archived_order_events']) as name
where to_regclass(name) is not null \gexec
-- Of an empty table it keeps what it has, and the erasure may have taken the last key. So there is
-- another for that moment; each line is one transaction, and nobody sees it.
select format('insert into %1$s (user_id, key, order_id, fingerprint)
                   select ''erased'', '''', id, id from only %2$s limit 1 for key share skip locked;
               analyze %1$s;
               delete from only %1$s where key = ''''', keys, orders)
from (values ('idempotency_keys', 'orders'), ('archived_idempotency_keys', 'archived_orders'))
    as name (keys, orders)
where to_regclass(keys) is not null \gexec
