-- The way back: what was created or changed here goes into the old database, where it is one
-- transaction, and is known from then on, so that another import does not take it for a stranger.
set client_min_messages = warning;
set lock_timeout = '3min';
do $$ begin perform pg_advisory_lock(hashtext('order import')); end $$;

begin isolation level repeatable read;
create unlogged table import_back as
select o.id, coalesce(k.old_id, o.id::text) as old_id, k.old_id is not null as is_known
from orders as o left join import_known as k on k.order_id = o.id
where k.version is distinct from o.version;

-- Times are written as their columns there want them (scripts/import). Lines that a run has left
-- there, which was killed before it was known here, are the same.
select format('insert into orders (id, user_id, status, total_amount, %sshipping_address, billing_address, created_at, updated_at) '
              'values (%L, %L, %L, %L, %s%L, %L, %L, %L) '
              'on conflict (id) do update set status = excluded.status, updated_at = excluded.updated_at;',
              case when :has_currency then 'currency, ' else '' end || case when :has_notes then 'notes, ' else '' end,
              b.old_id, user_id, case status when 'confirmed' then :'confirmed' else status end,
              total_amount,
              case when :has_currency then format('%L, ', currency) else '' end
              || case when :has_notes then format('%L, ', notes) else '' end,
              shipping_address, billing_address, :order_created_at, :order_updated_at)
from import_back as b join orders using (id) order by orders.created_at \g .dev/import/back-orders.sql
select format('insert into order_items (id, order_id, product_id, quantity, %I, %screated_at) '
              'values (%L, %L, %L, %L, %L, %s%L) on conflict (id) do nothing;',
              :'price',
              case when :has_subtotal then 'subtotal, ' else '' end
              || case when :has_line_update then 'updated_at, ' else '' end,
              order_items.id, order_id, product_id, quantity, unit_price,
              case when :has_subtotal then format('%L, ', subtotal) else '' end
              || case when :has_line_update then format('%L, ', :line_updated_at) else '' end,
              :line_created_at)
from import_back as b join order_items on order_id = b.id
where not b.is_known order by order_id, line \g .dev/import/back-lines.sql

create unlogged table import_back_done (word text);
\copy import_back_done from program 'PGPASSWORD="$OLD_PASSWORD" psql "$OLD_URL" -qAtX -v ON_ERROR_STOP=1 -1 -c "set standard_conforming_strings = on" -f .dev/import/back-orders.sql -f .dev/import/back-lines.sql && echo done'

insert into import_known (old_id, fingerprint, order_id, version, body, adjusted)
select b.old_id, 0, o.id, o.version, md5(coalesce(o.body, order_body_of(o.id)))::uuid, '{}'
from import_back as b join orders as o using (id)
on conflict (old_id) do update
set fingerprint = 0, version = excluded.version, body = excluded.body;
select 'say ' || format('%s orders went back that were created here, %s that were changed here',
                        count(*) filter (where not is_known), count(*) filter (where is_known))
from import_back;
drop table import_back, import_back_done;
commit;
