"""JSON schemas of what Kubernetes restricts: names, labels, quantities, images, paths, ports.

Kubernetes would refuse the same, but only when the objects are made, and by the names of fields
that nobody typed.  Each schema takes null, and an empty text where that means nothing is given.
"""

from __future__ import annotations

from typing import Any

from generate.charts.value import Schema, count

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}([.]{_LABEL})*"
_WORD = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_QUALIFIED = f"({_SUBDOMAIN}/)?{_WORD}"
_PREFIXED = f"{_SUBDOMAIN}/{_WORD}"
_QUANTITY = "[0-9]+([.][0-9]+)?([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?"
# That of container registries: distribution/reference.
_COMPONENT = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = (
    rf"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{{1,5}})?/|\[[0-9A-Fa-f:]+\](:[0-9]{{1,5}})?/)?"
    rf"{_COMPONENT}(/{_COMPONENT})*"
)
_TAG = r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}"
_DIGEST = "[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-fA-F]+"
_PATH = "/[^:\\x00-\\x1f\\x7f]*"


def matching(pattern: str, longest: int = 253, *, empty: bool = True) -> dict[str, Any]:
    """Return the schema of a text that is wholly of a pattern."""
    whole = f"^({pattern})?$" if empty else f"^({pattern})$"
    return {"type": ["string", "null"], "pattern": whole, "maxLength": longest}


def object_name() -> Schema:
    """Return the schema of an object's name, a DNS subdomain (RFC 1123)."""
    return matching(_SUBDOMAIN)


def device_name() -> Schema:
    """Return the schema of the name of an extended resource."""
    return matching(_PREFIXED, 317, empty=False)


def labels() -> Schema:
    """Return the schema of a map of labels."""
    value = matching(_WORD, 63) | {"type": ["string", "integer", "boolean", "null"]}
    return _map_of(_QUALIFIED, value)


def annotation_map() -> Schema:
    """Return the schema of a map of annotations, whose values are any text."""
    return _map_of(_QUALIFIED, {"type": ["string", "number", "boolean", "null"]})


def quantity(*, texts: bool = True) -> dict[str, Any]:
    """Return the schema of an amount of something, or an empty text."""
    number = {"type": "number", "minimum": 0}
    return {"anyOf": [matching(_QUANTITY, 40, empty=texts), number]}


def resources() -> Schema:
    """Return the schema of a container's resources."""
    amounts = _map_of(_QUALIFIED, quantity(texts=False))
    return _object({"limits": amounts, "requests": amounts, "claims": _list_of({"type": "object"})})


def huge_pages() -> Schema:
    """Return the schema of a map from the sizes of huge pages to amounts."""
    return _map_of("[0-9]+[KMG]i", quantity(texts=False))


def empty_dir() -> Schema:
    """Return the schema of a volume that goes with its pod."""
    medium = {"enum": ["", "Memory", "HugePages", "HugePages-2Mi", "HugePages-1Gi", None]}
    return _object({"medium": medium, "sizeLimit": quantity()})


def repository() -> Schema:
    """Return the schema of an image's name without tag and digest."""
    return matching(_REPOSITORY, 255)


def tag() -> Schema:
    """Return the schema of an image's tag, which may look like a number."""
    return matching(_TAG, 128) | {"type": ["string", "integer", "null"]}


def digest() -> Schema:
    """Return the schema of an image's digest."""
    return matching(_DIGEST)


def image(*, empty: bool = True) -> Schema:
    """Return the schema of an image with its tag or digest."""
    return matching(f"{_REPOSITORY}(:{_TAG})?(@{_DIGEST})?", 512, empty=empty)


def key_of_data() -> Schema:
    """Return the schema of a key in a ConfigMap or a Secret."""
    return matching("[-._a-zA-Z0-9]+")


def mount_path() -> Schema:
    """Return the schema of a path at which a volume is mounted."""
    return matching(_PATH, 4096)


def port() -> Schema:
    """Return the schema of a TCP or UDP port."""
    return count(1, 65535)


def duration() -> Schema:
    """Return the schema of a duration as Prometheus writes it."""
    return matching("([0-9]+(ms|[smhdwy]))+", 40)


def pull_secrets() -> Schema:
    """Return the schema of a list of names of Secrets."""
    return _list_of(_object({"name": object_name()}, "name"))


def access_modes() -> Schema:
    """Return the schema of a list of access modes."""
    modes = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]
    return _list_of({"enum": modes})


def environment() -> Schema:
    """Return the schema of a list of environment variables."""
    name = {"type": "string", "pattern": "^[ -<>-~]+$"}
    value = {"type": ["string", "null"]}
    return _list_of(
        _object({"name": name, "value": value, "valueFrom": {"type": "object"}}, "name")
    )


def named(*required: str) -> Schema:
    """Return the schema of a list of maps that have a name (a DNS label) and what is needed."""
    name = {"type": "string", "pattern": f"^{_LABEL}$", "maxLength": 63}
    path = {"type": "string", "pattern": f"^{_PATH}$"}
    properties = {"name": name, "mountPath": path}
    known = {key: properties[key] for key in ("name", *required)}
    return _list_of({"type": "object", "properties": known, "required": list(known)})


def _map_of(names: str, values: Schema) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{names}$", "maxLength": 317},
        "additionalProperties": values,
    }


def _list_of(item: Schema) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": item}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }
