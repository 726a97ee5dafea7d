"""Every object against its schema, with unknown fields refused."""

import copy
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

# The oldest Kubernetes that we promise to run on, and the newest that is known here.
VERSIONS = ["1.32", "1.37"]
CRDS = Path(__file__).with_name("crds")


def closed(schema):
    """The schema with unknown fields refused wherever it lists fields."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(part) for key, part in schema.items()}
    listed = isinstance(schema.get("properties"), dict)
    open_by_intent = schema.get("x-kubernetes-preserve-unknown-fields")
    if listed and "additionalProperties" not in schema and not open_by_intent:
        schema["additionalProperties"] = False
    return schema


@cache
def custom_schemas() -> dict[tuple[str, str], dict]:
    """(apiVersion, kind) → schema, from the CRDs in crds/."""
    found = {}
    for file in sorted(CRDS.rglob("*.yaml")):
        for crd in yaml.load_all(file.read_text(), yaml.CSafeLoader):
            spec = crd["spec"]
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {
                    "apiVersion": {"const": key[0]},
                    "kind": {"const": key[1]},
                    "metadata": {"type": "object"},
                }
                jsonschema.Draft202012Validator.check_schema(schema)
                found[key] = schema
    return found


def problems(document: dict, version: str) -> list[str]:
    name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
    schema = custom_schemas().get((document.get("apiVersion"), document.get("kind")))
    try:
        if schema is None:
            kubernetes_validate.validate(document, version, strict=True)
        else:
            validator = jsonschema.Draft202012Validator(schema)
            errors = sorted(validator.iter_errors(document), key=lambda e: list(e.path))
            if errors:
                raise errors[0]
            # Their metadata is that of any object.
            bearer = {"apiVersion": "v1", "kind": "ConfigMap"}
            bearer["metadata"] = copy.deepcopy(document["metadata"])
            kubernetes_validate.validate(bearer, version, strict=True)
    except jsonschema.ValidationError as error:
        where = "/".join(str(part) for part in error.path) or "."
        return [f"{name}: {where}: {error.message[:200]}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [f"{name}: {error.message}"]
    return []
