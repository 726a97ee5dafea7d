"""examples.py FILE: checks that every example of the OpenAPI document FILE keeps its schema."""

import json
import pathlib
import sys

import jsonschema_rs

document = json.loads(pathlib.Path(sys.argv[1]).read_text())


def examples():
    """Every example with its place and its schema."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{method.upper()} {path}"
            yield from of_content(place, operation.get("requestBody", {}))
    for name, response in document["components"]["responses"].items():
        yield from of_content(name, response)
    for name, schema in document["components"]["schemas"].items():
        yield from ((name, schema, value) for value in schema.get("examples", []))
    for name, parameter in document["components"]["parameters"].items():
        values = parameter["schema"].get("examples", [])
        if "example" in parameter:
            values = [*values, parameter["example"]]
        yield from ((name, parameter["schema"], value) for value in values)


def of_content(place, body):
    for media in body.get("content", {}).values():
        if "example" in media:
            yield place, media["schema"], media["example"]
        for name, example in media.get("examples", {}).items():
            yield f"{place} {name}", media["schema"], example["value"]


def problems(schema, value):
    schema = {**schema, "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


count = 0
wrong = []
for place, schema, value in examples():
    count += 1
    wrong += [f"{place}: {problem}" for problem in problems(schema, value)]
print(f"openapi.json: {count} examples, {len(wrong)} do not keep their schema")
sys.exit("\n".join(wrong) or (0 if count else "no examples"))
