"""What schemathesis must know about the service beyond its OpenAPI document."""

import atexit
import collections
import json
import os
import pathlib
import zlib

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

# Rules that the document states in words, because JSON Schema cannot: a cursor is opaque and
# belongs to one list, a page number and a cursor exclude each other, pages have a depth, and
# products, their stock and their prices are another service's.
IN_WORDS = {
    "page_too_deep",
    "unknown_product",
    "insufficient_stock",
    "mixed_currencies",
    "total_too_large",
    # A version that the order does not have, and a key that belongs to another request.
    "version_mismatch",
    "idempotency_key_reused",
}
# A key of a query belongs to a user, so `user_id` is required beside it.
IN_WORDS_OF_QUERIES = {"invalid_cursor", "conflict", "required"}
# An amount has two decimals at most, which binary floating point cannot say.
IN_WORDS_OF_BODIES = {"invalid_amount"}

ANSWERS = collections.Counter()


@schemathesis.hook
def filter_failure(context, failure: Failure, case, response) -> bool:
    if is_refused_by_host(case, response):
        return False
    if not isinstance(failure, RejectedPositiveData):
        return True
    reply = response.json()
    if reply["code"] == "validation_failed":
        codes = {problem["code"] for problem in reply["errors"]}
        return not codes <= IN_WORDS_OF_BODIES
    if reply["code"] == "invalid_parameter":
        codes = {problem["code"] for problem in reply["errors"]}
        return not codes <= IN_WORDS_OF_QUERIES
    return reply["code"] not in IN_WORDS


def is_refused_by_host(case, response) -> bool:
    """Spin itself answers a header that is not UTF-8, with 500 and nothing else."""
    values = (case.headers or {}).values()
    return response.status_code == 500 and not response.content and not all(str(value).isascii() for value in values)


@schemathesis.hook
def map_case(context, case):
    """Mostly orders what the sample catalogue has, where any product would do.

    Otherwise hardly any order would be created, and an invalid request would be refused for its
    products alone. What makes a request invalid stays in it.
    """
    # An entity tag that nobody has given out is refused, whatever comes with it.
    tag = (case.headers or {}).get("If-Match")
    if tag and zlib.crc32(str(tag).encode(errors="replace")) % 4:
        del case.headers["If-Match"]
    items = case.body.get("order_items") if isinstance(case.body, dict) else None
    for item in items if isinstance(items, list) else []:
        product_id = item.get("product_id") if isinstance(item, dict) else None
        if not isinstance(product_id, str) or not is_any_product(product_id):
            continue
        number = zlib.crc32(product_id.encode())
        if number % 8:
            item["product_id"] = f"p{1 + number % 1000}"
            if is_count(item.get("quantity")) and number % 3:
                item["quantity"] = 1 + item["quantity"] % 5
    return case


def is_any_product(product_id: str) -> bool:
    return 1 <= len(product_id) <= 255 and product_id.isprintable() and product_id.strip() != ""


def is_count(quantity) -> bool:
    return type(quantity) is int and 1 <= quantity <= 10_000


@schemathesis.check
def code_is_documented(context, response, case) -> None:
    """An operation answers with the codes that its description names, and those of all operations."""
    if response.status_code < 400 or is_refused_by_host(case, response):
        return
    code = response.json()["code"]
    words = case.operation.definition.raw.get("description", "") + case.operation.schema.raw_schema["info"]["description"]
    if f"`{code}`" not in words:
        raise AssertionError(f"{case.operation.label} answers {response.status_code} with the code {code}, which is not among its own")


@schemathesis.hook
def after_call(context, case, response) -> None:
    if is_refused_by_host(case, response):
        return
    ANSWERS[case.operation.label, response.status_code] += 1


@atexit.register
def _leave_the_count() -> None:
    answers = [
        {"operation": operation, "status": status, "count": count}
        for (operation, status), count in sorted(ANSWERS.items())
    ]
    pathlib.Path(os.environ["API_ANSWERS"]).write_text(json.dumps(answers))
