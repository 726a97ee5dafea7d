-- The floor's own tables, made anew by each `make bench`. They have what a reader or writer of
-- orders cannot do without, and no counters, events or checks.

drop table if exists floor_documents, floor_items, floor_orders;

-- For /create: an order and its lines.
create table floor_orders (
    id         bigserial      primary key,
    user_id    varchar(255)   not null,
    total      decimal(10, 2) not null,
    address    text           not null,
    created_at timestamptz    not null default now()
);
create index on floor_orders (user_id, created_at, id);

create table floor_items (
    id         bigserial    primary key,
    order_id   bigint       not null references floor_orders (id),
    product_id varchar(255) not null,
    quantity   integer      not null
);

-- For what reads: the service's own orders, filled by `make bench` from the service's answers. The
-- body is the text of what never changes, an object that the rest (status, version and the moment of
-- the last change) has yet to close.
create table floor_documents (
    id         uuid         primary key,
    user_id    varchar(255) not null,
    created_at timestamptz  not null,
    body       text         not null,
    status     varchar(50)  not null,
    version    integer      not null,
    updated_at timestamptz  not null
);
create index on floor_documents (created_at, id);
create index on floor_documents (user_id, created_at, id);

grant select, insert, update on floor_orders, floor_items, floor_documents to order_service;
grant usage on all sequences in schema public to order_service;
