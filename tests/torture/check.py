#!/usr/bin/env python3
"""Compares what clients were told with what is stored.

    check.py FOLDER    with TORTURE_DATABASE_URL

It shares nothing with the service, and reads the tables themselves. What clients were told lies in
FOLDER: wishes (what was ordered under which key, and every answer), told (status at a version, as
somebody was told), one file for each reader of the change feed, and the stock at the product
service before and after."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

LEGAL = {(None, "pending"), ("pending", "confirmed"), ("pending", "cancelled"), ("confirmed", "shipped"),
         ("confirmed", "cancelled"), ("shipped", "delivered")}
HOLDS_STOCK = {"confirmed", "shipped", "delivered"}

ORDERS = """
select o.id, o.user_id, k.key, o.status, o.version, o.total_amount::text as total,
       o.shipping_address, o.billing_address, o.notes, body is null or body = order_body_of(id) as is_body_true,
       (select json_agg(json_build_object('product_id', product_id, 'quantity', quantity,
                                          'unit_price', unit_price::text, 'subtotal', subtotal::text) order by line)
        from order_items where order_id = o.id) as lines
from orders o left join idempotency_keys k on k.order_id = o.id and k.user_id = o.user_id"""
EVENTS = """
select order_id, sequence, from_status as "from", to_status as "to" from order_events order by order_id, sequence"""


def stored(statement):
    """The rows of a statement, as Postgres itself writes them as JSON."""
    command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", os.environ["TORTURE_DATABASE_URL"], "-c",
               f"select row_to_json(stored) from ({statement}) as stored"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def parse(text):
    return json.loads(text, parse_float=Decimal)


def creations(wishes, orders):
    """Each acknowledged creation exists exactly once, as it was acknowledged; nothing else does."""
    of_key = defaultdict(list)
    for order in orders:
        of_key[order["user_id"], order["key"]].append(order)
    for wish in wishes:
        found = of_key.pop((wish["user"], wish["key"]), [])
        name = f"wish {wish['key']}"
        if not wish["created"]:
            if found:
                yield f"{name} was answered {wish['refused']}, and there is an order {found[0]['id']}"
            elif wish["refused"] is None:
                yield f"{name} was never answered"
        elif len(found) != 1:
            yield f"{name} was acknowledged, and there are {len(found)} orders under its key"
        elif len(wish["created"]) != 1:
            yield f"{name} was acknowledged in {len(wish['created'])} different ways"
        else:
            yield from content(name, wish["request"], parse(wish["created"][0])["data"], found[0])
    for key, found in of_key.items():
        yield f"{len(found)} orders under {key} were never wished for"


def content(name, request, told, order):
    for field in ("id", "user_id", "shipping_address", "billing_address", "notes"):
        if told[field] != order[field]:
            yield f"{name}: {field} was acknowledged as {told[field]!r} and is {order[field]!r}"
    if Decimal(told["total_amount"]) != Decimal(order["total"]):
        yield f"{name}: the total was acknowledged as {told['total_amount']} and is {order['total']}"
    fields = ("product_id", "quantity", "unit_price", "subtotal")
    lines = [tuple(str(line[field]) for field in fields) for line in told["order_items"]]
    if lines != [tuple(str(line[field]) for field in fields) for line in order["lines"] or []]:
        yield f"{name}: the lines were acknowledged as {lines} and are {order['lines']}"
    wished = [(line["product_id"], line["quantity"]) for line in request["order_items"]]
    if wished != [(line["product_id"], line["quantity"]) for line in told["order_items"]]:
        yield f"{name}: wished for {wished}, and acknowledged with {lines}"
    if (request["user_id"], request["notes"]) != (told["user_id"], told["notes"]):
        yield f"{name}: not acknowledged as it was wished for"


def totals(orders):
    for order in orders:
        lines = order["lines"] or []
        if not lines:
            yield f"order {order['id']} has no lines"
        if not order["is_body_true"]:
            yield f"order {order['id']}: the body that is kept is not what the tables say"
        if Decimal(order["total"]) != sum(Decimal(line["subtotal"]) for line in lines):
            yield f"order {order['id']}: the total {order['total']} is not the sum of its lines"
        for line in lines:
            if Decimal(line["subtotal"]) != Decimal(line["unit_price"]) * line["quantity"]:
                yield f"order {order['id']}: a line does not add up: {line}"


def histories(orders, events):
    """Each history is a legal walk with sequences 1..n, and ends where the order is."""
    of_order = defaultdict(list)
    for event in events:
        of_order[event["order_id"]].append(event)
    for order in orders:
        history = of_order.pop(order["id"], [])
        if [event["sequence"] for event in history] != list(range(1, order["version"] + 1)):
            yield f"order {order['id']} at version {order['version']} has the sequences {[e['sequence'] for e in history]}"
        before = None
        for event in history:
            if event["from"] != before or (event["from"], event["to"]) not in LEGAL:
                yield f"order {order['id']} went from {before} by {event}"
            before = event["to"]
        if before != order["status"]:
            yield f"order {order['id']} is {order['status']}, and its history ends with {before}"
    for order_id in of_order:
        yield f"there is a history of {order_id}, and no order"


def answers(told, events):
    """What anybody was told that an order is, it was at that version."""
    history = {(event["order_id"], event["sequence"]): event["to"] for event in events}
    for one in told:
        was = history.get((one["order_id"], one["version"]))
        if was != one["status"]:
            yield f"order {one['order_id']} was told to be {one['status']} at version {one['version']}, and was {was}"


def feed(name, read, events):
    """A reader has seen each change exactly once, and those of an order in their order."""
    history = {(event["order_id"], event["sequence"]): (event["from"], event["to"]) for event in events}
    seen = Counter((event["order_id"], event["sequence"]) for event in read)
    for key, times in seen.items():
        if times > 1:
            yield f"{name} has read {key} {times} times"
        if key not in history:
            yield f"{name} has read {key}, which is not in the history"
    for key in history.keys() - seen.keys():
        yield f"{name} has not read {key}"
    last = defaultdict(int)
    for event in read:
        order_id, sequence = event["order_id"], event["sequence"]
        if sequence != last[order_id] + 1:
            yield f"{name} has read {sequence} of order {order_id} after {last[order_id]}"
        last[order_id] = sequence
        if (event["from"], event["to"]) != history.get((order_id, sequence), (event["from"], event["to"])):
            yield f"{name} has read {event}, which the history tells otherwise"
        if event["type"] != ("order.created" if sequence == 1 else "order.status_changed"):
            yield f"{name} has read a wrong type: {event}"


def same_order(feeds):
    """All readers have read the same events in the same order."""
    (first, expected), *others = [(name, [event["id"] for event in read]) for name, read in feeds.items()]
    for name, ids in others:
        if ids != expected:
            at = next((n for n, pair in enumerate(zip(ids, expected)) if pair[0] != pair[1]), min(len(ids), len(expected)))
            yield f"{name} and {first} part ways at event {at + 1}"


def stock(orders, shelves, troubles):
    """What is gone from the shelves is what the orders hold. Orders that were shipped before their
    stock could be taken are not held against anybody if the keeper lists them."""
    without = {(row["order_id"], row["product_id"]) for row in troubles if row["state"] in ("planned", "refused")}
    held = Counter()
    for order in orders:
        if order["status"] == "pending":
            yield f"order {order['id']} is still pending"
        for line in order["lines"] if order["status"] in HOLDS_STOCK else ():
            if (order["id"], line["product_id"]) not in without:
                held[line["product_id"]] += line["quantity"]
    for row in troubles:
        if row["trouble"] != "shipped without its stock":
            yield f"the keeper is left with {row}"
    for product_id, (before, added, left) in shelves.items():
        if before + added - left != held[product_id]:
            yield (f"product {product_id}: there were {before} and {added} more, {left} are left, "
                   f"and orders hold {held[product_id]}")


def all_violations(wishes, told, feeds, shelves, troubles, orders, events):
    yield from creations(wishes, orders)
    yield from totals(orders)
    yield from histories(orders, events)
    yield from answers(told, events)
    for name, read in feeds.items():
        yield from feed(name, read, events)
    yield from same_order(feeds)
    yield from stock(orders, shelves, troubles)


def check(folder):
    folder = Path(folder)

    def lines(name):
        return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]

    feeds = {file.stem: lines(file.stem) for file in sorted(folder.glob("reader-*.jsonl"))}
    shelves = json.loads((folder / "stock.json").read_text())
    return list(all_violations(lines("wishes"), lines("told"), feeds, shelves, lines("troubles"),
                               stored(ORDERS), stored(EVENTS)))


if __name__ == "__main__":
    found = check(sys.argv[1])
    for violation in found[:50]:
        print(violation)
    print(f"violations: {len(found)}")
    sys.exit(bool(found))
