-- The orders that have to be looked at, and their lines as this service would store them, with
-- what it would refuse (`faults`) and what an option has changed (`adjusted`).

-- What is done already, by a run that was broken off, is left alone. The oldest come first, so
-- that the change feed tells of them in the order of time.
create unlogged table import_todo as
select row_number() over (order by o.created_at, o.old_id) as n, o.*,
       case when o.old_id ~* :'uuid' then o.old_id::uuid end as id, k.old_id is not null as is_known
from import_order as o left join import_known as k using (old_id)
where k.fingerprint is distinct from o.fingerprint;
analyze import_todo;

-- Lines are in the order of their creation, and of their ids where that is the same (by length
-- first, so that numbers count as such).
create unlogged table import_item as
with taken as (
    select o.n, l.old_id, l.line_id, o.created_at as order_created_at,
           coalesce(o.created_at, o.updated_at) as order_at,
           row_number() over (partition by o.n
                              order by l.created_at, length(l.line_id), l.line_id)::integer as line,
           case when l.line_id ~* :'uuid' then l.line_id::uuid
                when :'line_id_invalid' = 'derive' then md5(l.old_id || ':' || l.line_id)::uuid
           end as id,
           l.product_id, l.quantity, l.unit_price as old_price, l.subtotal as old_subtotal,
           case when :'amount_inexact' = 'round' then round(l.unit_price, 2) else l.unit_price
           end as unit_price,
           case when :'amount_inexact' = 'round' then round(l.subtotal, 2) else l.subtotal
           end as subtotal,
           l.created_at, l.updated_at
    from import_line as l join import_todo as o using (old_id)
), priced as (
    -- Amounts that are no numbers, or huge, are not multiplied.
    select *, case when unit_price between 0 and 99999999.99 and quantity between 1 and :quantity_max
                   then unit_price * quantity end as product,
           case when :'time_missing' = 'nearest' then coalesce(created_at, updated_at, order_at)
                else created_at end as kept_created_at,
           case when :'time_missing' = 'nearest' then coalesce(updated_at, created_at, order_at)
                else updated_at end as kept_updated_at
    from taken
)
select n, old_id, line_id, line, id, product_id, quantity, unit_price,
       case when :has_subtotal and :'subtotal_mismatch' <> 'compute' then subtotal else product
       end as subtotal,
       kept_created_at as created_at, kept_updated_at as updated_at,
       array_remove(array[
           case when id is null then 'line_id_invalid' end,
           'product_id_' || import_text_fault(product_id, :product_id_max, false),
           case when (quantity = trunc(quantity) and quantity between 1 and :quantity_max) is not true
                then 'quantity_out_of_range: ' || coalesce(quantity::text, 'null') end,
           case when (unit_price between 0 and 99999999.99) is not true
                     or product > 99999999.99
                then 'amount_out_of_range: ' || coalesce(unit_price::text, 'null')
                when unit_price <> round(unit_price, 2) then 'amount_inexact: ' || unit_price end,
           case when :has_subtotal and :'subtotal_mismatch' <> 'compute' then case
                when subtotal <> round(subtotal, 2) then 'amount_inexact: ' || subtotal
                when product is not null and subtotal is distinct from product
                then 'subtotal_mismatch: ' || coalesce(subtotal::text, 'null')
                     || ', price times quantity is ' || product end end,
           case when kept_created_at is null or kept_updated_at is null then 'time_missing'
                when not (isfinite(kept_created_at) and isfinite(kept_updated_at)
                          and least(kept_created_at, kept_updated_at) >= :'time_min'
                          and greatest(kept_created_at, kept_updated_at) < :'time_max')
                then 'time_out_of_range' end
       ], null) as faults,
       array_remove(array[
           case when line_id !~* :'uuid' then 'line_id_invalid: derived ' || id end,
           case when unit_price <> old_price then 'amount_inexact: ' || old_price || ' rounded' end,
           case when :has_subtotal and :'subtotal_mismatch' = 'compute'
                     and old_subtotal is distinct from product
                then 'subtotal_mismatch: ' || coalesce(old_subtotal::text, 'null') || ' became ' || product
                when subtotal <> old_subtotal then 'amount_inexact: ' || old_subtotal || ' rounded'
           end,
           case when created_at is null or updated_at is null
                then 'time_missing: taken from what is nearest' end
       ], null) as adjusted
from priced;
create index on import_item (n, line);
analyze import_item;
