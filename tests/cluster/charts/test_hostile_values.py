"""Texts that YAML, templates or Kubernetes would take apart, in every value that takes a text."""

from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from generate.charts.receiver import RECEIVE
from generate.charts.schema import chart_schema
from generate.charts.sender import EMULATOR

if TYPE_CHECKING:
    from tests.cluster.charts.rendering import Helm

HARMLESS = "harmless"
HOSTILE = (
    *("a: b", "a\nb: c", "a\n\n- b", "- x", "# x", "a # b", "x: {y: z}", "[a", "{a", "|", ">-"),
    *('"', "'", 'a"b: c', "a'b", "\\", "\\n", "a\\", "{{ .Release.Name }}", "{{", "}}", "{{/*"),
    *(
        "!!int 5",
        "!x",
        "&a b",
        "*a",
        "%TAG",
        "@a",
        "`a`",
        "? a",
        "---",
        "...",
        "a\n---\nb: c",
        "<<",
    ),
    *(
        "null",
        "~",
        "yes",
        "no",
        "on",
        "true",
        "1",
        "010",
        "0x1f",
        "1e3",
        "1_000",
        ".inf",
        "12:30:45",
    ),
    *("2026-01-01", "$(HOME)", "$$(HOME)", "$$$(A)", "$", "a$", "${HOME}", "$(", "ä", "\U0001f52d"),
    *(
        "a\tb",
        "a\rb",
        "a\r\nb",
        "a\x07b",
        "a\x00b",
        "a\x7fb",
        "a\x85b",
        "a\x9fb",
        "a\u2028b",
        "a\u2029b",
    ),
    *("a\ufeffb", "a\ufffeb", "a\u00a0b", "a\u202eb", "a,b", "a=b", "<a&b>", "=", "x" * 900),
)
# Read as a text with several things in it, or known to templates, so not one text at one place.
APART = {"workflow", "fullnameOverride", "stopToken", "version", "reception.process_index"}
APART |= {"reception.process_count", "reception.receiver_port_start", "global", "image"}
SCENARIOS: dict[str, tuple[Any, dict[str, Any]]] = {
    "receive": (
        RECEIVE,
        {
            "model": {"pull": False},
            "reception": {"datamodel": "/m.ms"},
            "results": {"push": True},
            "rclone": {"command": "s3:b"},
            "proxy": {"use": True, "server": "u@h:1"},
            "monitoring": {"podMonitor": {"enabled": True}},
            "networkPolicy": {"enabled": True},
        },
    ),
    "emulator": (EMULATOR, {"transmission": {"target_host": "h"}, "model": {"pull": True}}),
}
MAPS = {
    "extraEnv": lambda text: [{"name": "X", "value": text}],
    "podAnnotations": lambda text: {"example.org/a": text},
    "serviceAccount.annotations": lambda text: {"example.org/a": text},
    "service.annotations": lambda text: {"example.org/a": text},
    "affinity": lambda text: {text: {text: [text]}},
    "tolerations": lambda text: [{"key": text, text: "x"}],
    "topologySpreadConstraints": lambda text: [{"topologyKey": text}],
    "podSecurityContext": lambda text: {text: text},
    "securityContext": lambda text: {text: text},
    "networkPolicy.from": lambda text: [{text: text}],
    "networkPolicy.extraEgress": lambda text: [{text: text}],
    "extraContainers": lambda text: [{"name": "x", "command": [text]}],
    "extraVolumes": lambda text: [{"name": "x", text: text}],
    "labels": lambda text: {text: text},
    "podLabels": lambda text: {"a": text},
    "nodeSelector": lambda text: {text: "a"},
    "resources": lambda text: {"limits": {"cpu": text}},
    "hugepages": lambda text: {text: "1Gi"},
    "imagePullSecrets": lambda text: [{"name": text}],
}


def leaves(schema: dict[str, Any], path: str = "") -> list[str]:
    """Return the dotted names of all values."""
    properties = schema.get("properties")
    if properties is None:
        return [path]
    return [
        leaf
        for name, member in properties.items()
        for leaf in leaves(member, f"{path}.{name}".lstrip("."))
    ]


def put(values: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def with_text(path: str, text: str) -> object:
    return MAPS[path](text) if path in MAPS else text


def accepts(schema: dict[str, Any], values: dict[str, Any]) -> bool:
    return jsonschema.Draft7Validator(schema).is_valid(values)


def plain(value: Any) -> Any:
    """Return a manifest with what it holds within texts taken apart."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    taken = {key: plain(item) for key, item in value.items()}
    if value.get("kind") == "Secret":
        taken["data"] = {
            key: base64.b64decode(text).decode() for key, text in value["data"].items()
        }
        taken["data"].pop("token", None)
    if value.get("kind") in {"ConfigMap", "Secret"}:
        taken["data"]["config.json"] = json.loads(taken["data"]["config.json"])
    if value.get("kind") == "Job":
        taken["metadata"]["annotations"].pop("vis-receive/checksum")
        pod = taken["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if container["name"] != "x":
                expanded = [text.replace("$$", "$") for text in container["command"]]
                container["command"] = expanded
    return taken


def replaced(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [replaced(item, text) for item in value]
    if isinstance(value, dict):
        return {replaced(key, text): replaced(item, text) for key, item in value.items()}
    return value.replace(HARMLESS, text) if isinstance(value, str) else value


@pytest.mark.parametrize("chart", ["receive", "emulator"])
def test_a_hostile_text_is_refused_or_stays_one_text(helm3: Helm, tmp_path, chart: str) -> None:
    described, base = SCENARIOS[chart]
    schema = chart_schema(described)
    names = [leaf for leaf in leaves(schema) if leaf not in APART]
    tried = 0
    for number, text in enumerate(HOSTILE):
        taken, refused = copy.deepcopy(base), copy.deepcopy(base)
        harmless = copy.deepcopy(base)
        refusals = []
        for name in names:
            one: dict[str, Any] = {}
            put(one, name, with_text(name, text))
            safe: dict[str, Any] = {}
            put(safe, name, with_text(name, HARMLESS))
            tried += 1
            if not accepts(schema, one):
                put(refused, name, with_text(name, text))
                refusals.append(name)
            elif accepts(schema, safe) and name not in KEPT:
                put(taken, name, with_text(name, text))
                put(harmless, name, with_text(name, HARMLESS))
        files = []
        for kind, values in (("harmless", harmless), ("taken", taken), ("refused", refused)):
            path = tmp_path / f"{kind}-{number}.yaml"
            # YAML has no pairs of surrogates.
            path.write_text(json.dumps(values).replace("\\ud83d\\udd2d", "\\U0001f52d"))
            files.append(path)
        expected = [plain(one) for one in helm3.template(chart, files[0]).manifests]
        found = [plain(one) for one in helm3.template(chart, files[1]).manifests]
        assert found == replaced(expected, text), repr(text)
        said = helm3.refusal(chart, files[2])
        for name in set(refusals) - set(MAPS):
            assert name.rpartition(".")[2] in said, (name, text)
    assert tried > 1500 + 2 * 500 * (chart == "receive")


# What the scenario needs as it is.
KEPT = {
    *(
        "model.pull",
        "reception.datamodel",
        "rclone.command",
        "proxy.server",
        "storage.existingClaim",
    ),
    *("rclone.secret", "caBundle.configMap", "caBundle.secret", "pvc.name", "rdma.image"),
    *("rclone.configurl", "monitor.bind_hostname", "proxy.noproxy", "monitor.hosts", "pushImage"),
    *("transmission.endpoints", "initContainersEnabled", "storage.size", "storage.emptyDir"),
    *("image.tag", "pushImage.tag", "reception.outputfilename", "replicas", "proxy.use"),
}
