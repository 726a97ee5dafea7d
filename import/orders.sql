-- The orders as this service would store them, each with what is to be done about it.

create unlogged table import_ready as
with lines as (
    select n, count(*) as lines, sum(subtotal) as total,
           bool_or(cardinality(faults) > 0) as are_faulty
    from import_item group by n
), cleaned as (
    select o.*, coalesce(lines.lines, 0) as lines, lines.total, coalesce(are_faulty, false) as are_faulty,
           case when o.status in ('pending', 'confirmed', 'shipped', 'delivered', 'cancelled')
                then o.status
                else (:'statuses'::jsonb) ->> o.status end as new_status,
           case when :'amount_inexact' = 'round' then round(o.total_amount, 2) else o.total_amount
           end as total_rounded,
           case when :'control_character' = 'space'
                then regexp_replace(shipping_address, :'controls', ' ', 'g') else shipping_address
           end as shipping,
           case when :'control_character' = 'space'
                then regexp_replace(billing_address, :'controls', ' ', 'g') else billing_address
           end as billing,
           case when :'control_character' = 'space'
                then regexp_replace(notes, :'controls', ' ', 'g') else notes end as remark,
           case when :'time_missing' = 'nearest' then coalesce(created_at, updated_at)
                else created_at end as kept_created_at,
           case when :'time_missing' = 'nearest' then coalesce(updated_at, created_at)
                else updated_at end as kept_updated_at
    from import_todo as o left join lines using (n)
), taken as (
    select c.*,
           case when :'total_mismatch' = 'lines' and lines > 0 then total else total_rounded
           end as new_total,
           case when :'too_long' = 'cut' then left(s.shipping, :address_max) else s.shipping
           end as new_shipping,
           case when :'too_long' = 'cut' then left(b.billing, :address_max) else b.billing
           end as new_billing,
           case when :'too_long' = 'cut' then left(remark, :notes_max) else remark end as new_notes
    from cleaned as c,
         lateral (select case when :'shipping_address_missing' = 'dash'
                                   and import_text_fault(c.shipping, null, true) = 'missing'
                              then '-' else c.shipping end as shipping) as s,
         lateral (select case when :'billing_address_missing' = 'shipping'
                                   and import_text_fault(c.billing, null, true) = 'missing'
                              then s.shipping else c.billing end as billing) as b
), doubled as (
    select lower(old_id) as old_id from import_order group by 1 having count(*) > 1
), doubled_lines as (
    -- A line's id belongs to one line: of what is taken over now, and of what is here.
    select n from import_item as i
    where id in (select id from import_item where id is not null group by id having count(*) > 1)
    union
    select i.n from import_item as i join import_todo as o using (n)
    join order_items as here on here.id = i.id and here.order_id is distinct from o.id
), judged as (
    select t.*, h.status as here_status, h.version as here_version,
           coalesce(h.version <> k.version or md5(coalesce(h.body, order_body_of(h.id)))::uuid <> k.body,
                    false) as is_changed_here,
           array_remove(array[
               case when t.id is null then 'id_invalid' end,
               case when lower(t.old_id) in (select old_id from doubled) then 'id_doubled' end,
               case when t.n in (select n from doubled_lines) then 'line_id_doubled' end,
               case when not t.is_known and h.id is not null then 'exists_here' end,
               case when t.is_known and h.id is null then 'deleted_here' end,
               'user_id_' || import_text_fault(t.user_id, :user_id_max, false),
               case when new_status is null then 'status_unknown: ' || coalesce(t.status, 'null') end,
               case when t.currency !~ '^[A-Z]{3}$' or t.currency is null
                    then 'currency_invalid: ' || coalesce(t.currency, 'null') end,
               'shipping_address_' || import_text_fault(new_shipping, :address_max, true),
               'billing_address_' || import_text_fault(new_billing, :address_max, true),
               -- Notes may be blank.
               'notes_' || import_text_fault('.' || coalesce(new_notes, ''), :notes_max + 1, true),
               case when kept_created_at is null or kept_updated_at is null then 'time_missing'
                    when not (isfinite(kept_created_at) and isfinite(kept_updated_at)
                              and least(kept_created_at, kept_updated_at) >= :'time_min'
                              and greatest(kept_created_at, kept_updated_at) < :'time_max')
                    then 'time_out_of_range' end,
               case when (new_total between 0 and 99999999.99) is not true
                    then 'amount_out_of_range: ' || coalesce(new_total::text, 'null')
                    when new_total <> round(new_total, 2) then 'amount_inexact: ' || new_total end,
               case when lines = 0 and :'no_lines' <> 'keep' then 'no_lines' end,
               case when lines > :items_max then 'too_many_lines: ' || lines end,
               case when lines > 0 and not are_faulty and :'total_mismatch' <> 'keep'
                         and new_total between 0 and 99999999.99
                         and new_total = round(new_total, 2) and new_total <> total
                    then 'total_mismatch: total ' || new_total || ', lines ' || total end,
               case when are_faulty then 'lines' end
           ], null) as faults,
           array_remove(array[
               case when t.status <> new_status and t.status <> 'processing'
                    then 'status_unknown: ' || t.status || ' became ' || new_status end,
               case when total_rounded <> t.total_amount
                    then 'amount_inexact: ' || t.total_amount || ' rounded' end,
               case when lines > 0 and total <> total_rounded then 'total_mismatch: '
                    || case :'total_mismatch' when 'lines' then total_rounded || ' became ' || total
                       else 'kept ' || total_rounded || ', lines ' || total end end,
               case when lines = 0 then 'no_lines: kept' end,
               case when new_shipping is distinct from t.shipping_address
                    then 'shipping_address: cleaned, cut or filled in' end,
               case when new_billing is distinct from t.billing_address
                    then 'billing_address: cleaned, cut or filled in' end,
               case when new_notes is distinct from t.notes then 'notes: cleaned or cut' end,
               case when t.created_at is null or t.updated_at is null
                    then 'time_missing: taken from what is nearest' end
           ], null) as adjusted
    from taken as t left join import_known as k using (old_id) left join orders as h on h.id = t.id
)
select n, old_id, id, fingerprint, user_id, new_status as status, new_total as total_amount, currency,
       new_shipping as shipping_address, new_billing as billing_address, new_notes as notes,
       kept_created_at as created_at, kept_updated_at as updated_at, is_known, here_status,
       here_version, is_changed_here, faults, adjusted,
       case when cardinality(faults) > 0 then null when is_known then 'change' else 'insert' end as action,
       null::text as body
from judged;

alter table import_ready add primary key (n);
analyze import_ready;

-- Lines that an option has changed belong to what is said of their order.
update import_ready as r set adjusted = r.adjusted || i.adjusted
from (select n, array_agg(adjusted.what || ' (line ' || line_id || ')' order by line) as adjusted
      from import_item, unnest(import_item.adjusted) as adjusted (what) group by n) as i
where i.n = r.n and r.action is not null;

insert into import_problem
select r.old_id, case when r.is_known then 'not_updated' else 'left_out' end,
       split_part(fault, ': ', 1), substr(fault, length(split_part(fault, ': ', 1)) + 3)
from import_ready as r, unnest(r.faults) as fault where fault <> 'lines'
union all
select r.old_id, case when r.is_known then 'not_updated' else 'left_out' end,
       split_part(fault, ': ', 1),
       concat_ws(': ', 'line ' || i.line_id, nullif(substr(fault, length(split_part(fault, ': ', 1)) + 3), ''))
from import_ready as r join import_item as i using (n), unnest(i.faults) as fault
union all
select old_id, 'left_out', 'line_without_order', 'line ' || line_id from import_orphan;

-- Orders that are gone there stay here, for somebody to decide about.
insert into import_problem
select old_id, 'kept', 'deleted_since', '' from import_known
where not exists (select from import_list as l where l.old_id = import_known.old_id);

-- What becomes of those that have been taken over before. Their bodies are made here, to see
-- whether anything but the status is different.
update import_ready as r set body = order_body(
    r.id, r.user_id, r.total_amount::decimal(10, 2), r.currency, r.shipping_address, r.billing_address,
    r.notes,
    (select string_agg(order_line(i.id, r.id, i.product_id, i.quantity::integer,
                                  i.unit_price::decimal(10, 2), i.subtotal::decimal(10, 2), null,
                                  i.created_at, i.updated_at), ',' order by i.line)
     from import_item as i where i.n = r.n),
    r.created_at)
where r.action = 'change';
update import_ready as r
set action = case
    when r.body = coalesce(o.body, order_body_of(o.id)) and r.status = o.status
         and (r.is_changed_here or r.updated_at = o.updated_at) then 'same'
    when r.is_changed_here then 'changed_here'
    -- The archive takes no changes.
    when o.tableoid <> 'orders'::regclass then 'archived_here'
    when r.body = coalesce(o.body, order_body_of(o.id)) and r.status <> o.status then 'status'
    else 'content' end
from orders as o where o.id = r.id and r.action = 'change';
insert into import_problem
select old_id, 'not_updated', action,
       case action when 'changed_here' then 'version ' || here_version else '' end
from import_ready where action in ('changed_here', 'archived_here');
