-- Takes over the orders %FROM to %TO of import_ready: one transaction, so that what was broken
-- off is done wholly or not at all. The rows of what is here already are locked first, and what
-- somebody has changed or archived in the meantime is left alone.
with locked as materialized (
    select o.id, o.version from only orders as o
    where o.id in (select id from import_ready
                   where n between %FROM and %TO and action in ('status', 'content'))
    order by o.id for update
), late as (
    update import_ready as r
    set action = case when l.id is null then 'archived_here' else 'changed_here' end
    from import_ready as t left join locked as l using (id)
    where t.n between %FROM and %TO and t.action in ('status', 'content') and r.n = t.n
          and l.version is distinct from t.here_version
    returning r.old_id, r.action, l.version
)
insert into import_problem
select old_id, 'not_updated', action, coalesce('version ' || version, '') from late;

-- Orders are counted by more than one statement below: whoever counts meanwhile waits for all of
-- them, instead of holding counts that the second one needs while waiting for those of the first.
do $$
begin
    if exists (select from import_ready
               where n between %FROM and %TO and action in ('status', 'content')) then
        lock table order_counts in share row exclusive mode;
    end if;
end
$$;

insert into orders (id, user_id, status, total_amount, currency, shipping_address, billing_address,
                    notes, version, created_at, updated_at, body)
select id, user_id, status, total_amount, currency, shipping_address, billing_address, notes,
       case when status = 'pending' then 1 else 2 end, created_at, updated_at,
       order_body(id, user_id, total_amount::decimal(10, 2), currency, shipping_address,
                  billing_address, notes,
                  (select string_agg(order_line(i.id, r.id, i.product_id, i.quantity::integer,
                                                i.unit_price::decimal(10, 2),
                                                i.subtotal::decimal(10, 2), null, i.created_at,
                                                i.updated_at), ',' order by i.line)
                   from import_item as i where i.n = r.n),
                  created_at)
from import_ready as r where n between %FROM and %TO and action = 'insert' order by n;

-- Other lines, other amounts: the triggers forget the body, and it is put back below.
delete from order_items where order_id in (
    select id from import_ready where n between %FROM and %TO and action = 'content');
insert into order_items (id, order_id, line, product_id, quantity, unit_price, subtotal, created_at,
                         updated_at, in_body)
select i.id, r.id, i.line, i.product_id, i.quantity, i.unit_price, i.subtotal, i.created_at,
       i.updated_at, true
from import_ready as r join import_item as i using (n)
where n between %FROM and %TO and action in ('insert', 'content') order by n, i.line;
update orders as o
set user_id = r.user_id, total_amount = r.total_amount, currency = r.currency,
    shipping_address = r.shipping_address, billing_address = r.billing_address, notes = r.notes,
    created_at = r.created_at
from import_ready as r where r.id = o.id and n between %FROM and %TO and action = 'content';
update orders as o
set status = r.status, version = o.version + 1, updated_at = r.updated_at, body = r.body
from import_ready as r
where r.id = o.id and n between %FROM and %TO and action in ('status', 'content');

-- An order began as pending; of the steps that led to where it is, the last one's time is known.
insert into order_events (order_id, sequence, from_status, to_status, reason, created_at)
select r.id, e.sequence, e.from_status, e.to_status, e.reason, e.at
from import_ready as r, lateral (
    values (1, null, 'pending', null, r.created_at, r.action = 'insert'),
           (2, 'pending', r.status, 'taken over; earlier steps are not known', r.updated_at,
            r.action = 'insert' and r.status <> 'pending'),
           (r.here_version + 1, r.here_status, r.status, null, r.updated_at, r.action = 'status'),
           (r.here_version + 1, r.here_status, r.status, 'changed before it was taken over',
            r.updated_at, r.action = 'content')
) as e (sequence, from_status, to_status, reason, at, is_new)
where r.n between %FROM and %TO and e.is_new order by r.n, e.sequence;

insert into import_known as k (old_id, fingerprint, order_id, version, body, adjusted)
select r.old_id, r.fingerprint, r.id, o.version, md5(o.body)::uuid, r.adjusted
from import_ready as r join orders as o using (id)
where n between %FROM and %TO and action in ('insert', 'status', 'content')
on conflict (old_id) do update
set fingerprint = excluded.fingerprint, version = excluded.version, body = excluded.body,
    adjusted = excluded.adjusted;
update import_known as k set fingerprint = r.fingerprint
from import_ready as r where k.old_id = r.old_id and n between %FROM and %TO and action = 'same';

select 'done ' || %TO;
