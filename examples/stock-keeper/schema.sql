-- What the keeper writes down, in a SQLite file of its own.

-- How far the feed was read. One row.
create table if not exists feed (cursor text);
insert into feed select null where not exists (select 1 from feed);

-- Every order that may still need something, as far as we know it.
create table if not exists orders (
    id       text primary key,
    status   text not null,
    version  integer not null,
    attempts integer not null default 0,
    due      real,           -- when to take it up; null: when the feed tells something new
    trouble  text            -- why a person has to look at it
);
create index if not exists orders_due on orders (due) where due is not null;

-- The stock of an order, one row for each product:
-- planned -> taking -> taken -> returning -> returned, or taking -> refused.
-- `taking` and `returning` mean that the product service may have been asked, and no more.
create table if not exists moves (
    order_id   text not null references orders (id) on delete cascade,
    line       integer not null,
    product_id text not null,
    quantity   integer not null,
    state      text not null default 'planned',
    primary key (order_id, line)
);
