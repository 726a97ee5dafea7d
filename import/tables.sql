-- What the import keeps between its runs, and what it works with during one.

-- The orders that were taken over. `fingerprint` is that of the order and its lines in the old
-- database, `version` and `body` are what they became here: an order that has neither any more
-- has been changed here since, and is not overwritten. `adjusted` names what an option has
-- changed on the way. No personal data.
create table if not exists import_known (
    old_id      text primary key,
    fingerprint bigint  not null,
    order_id    uuid    not null unique,
    version     integer not null,
    body        uuid    not null,
    adjusted    text[]  not null
);

drop table if exists import_list, import_orphan, import_order, import_line, import_todo,
                     import_item, import_ready, import_problem;
drop function if exists import_text_fault(text, integer, boolean);

-- Every order of the old database that is not marked as deleted.
create unlogged table import_list (
    old_id text, fingerprint bigint, user_id text, status text, total_amount numeric
);
create unlogged table import_orphan (line_id text, old_id text);

-- Those that are new or have changed, as they are there; amounts as wide as they come.
create unlogged table import_order (
    old_id text, fingerprint bigint, user_id text, status text, total_amount numeric, currency text,
    shipping_address text, billing_address text, notes text, created_at timestamptz,
    updated_at timestamptz
);
create unlogged table import_line (
    line_id text, old_id text, product_id text, quantity numeric, unit_price numeric,
    subtotal numeric, created_at timestamptz, updated_at timestamptz
);

-- What goes into the report. `outcome` is left_out, not_updated, kept or adjusted.
create unlogged table import_problem (old_id text, outcome text, reason text, detail text);

-- What the service finds wrong with a text (src/domain/problem.rs), in its order.
create function import_text_fault(value text, longest integer, lines boolean) returns text
language sql immutable
return case
    when value is null or value !~ '[^\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
        then 'missing'
    when value ~ case when lines then '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]'
                      else '[\u0001-\u001f\u007f-\u009f]' end
        then 'control_character'
    when char_length(value) > longest then 'too_long'
end;
