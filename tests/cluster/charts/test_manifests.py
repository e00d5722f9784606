"""Every values file of both charts, with both Helms: lint, strict validation, what always holds."""

from __future__ import annotations

import json

import jsonschema
import kubernetes_validate
import pytest
import yaml

from receive.config import Config
from tests.cluster.charts.rendering import ALL_FILES, CHARTS, ids

KUBERNETES = "1.36"
# Defined by operators, so the API's own schemas do not have them.
CUSTOM = {"PodMonitor"}
SECRET_TEXTS = ("hunter2", "s3cr3t")
PRIVILEGED = "# Needs Pod Security's level privileged."

pytestmark = pytest.mark.parametrize(("chart", "values"), ALL_FILES, ids=ids)


def test_lint_finds_nothing(helm, chart, values):
    helm.lint(chart, values)


def test_each_manifest_is_valid_strictly(helm, chart, values):
    release = helm.template(chart, values)
    assert {"Job", "ConfigMap", "Secret"} <= {one["kind"] for one in release.manifests}
    for manifest in release.manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_both_helms_make_the_same(helm_binaries, helm, helm3, chart, values):
    def stable(release):
        for manifest in release.manifests:
            if manifest["kind"] == "Secret":
                manifest["data"].pop("token", None)  # made at random
        return release.manifests

    assert stable(helm.template(chart, values)) == stable(helm3.template(chart, values))


def test_the_configuration_is_what_the_commands_accept(helm, chart, values):
    release = helm.template(chart, values)
    config = Config.from_mapping(release.config)
    Config.from_mapping(json.loads(release.secret["config.json"]))
    if chart == "receive":
        assert config["reception.process_count"] == release.job["completions"]
        assert config["reception.idle_timeout"] > 0
        assert config["reception.datamodel"]


def test_credentials_are_in_the_secret_alone(helm, chart, values):
    release = helm.template(chart, values)
    given = values.read_text()
    for text in SECRET_TEXTS:
        if text in given:
            assert text in json.dumps(release.secret)
        for manifest in release.manifests:
            if manifest["kind"] != "Secret":
                assert text not in json.dumps(manifest)


def test_pods_are_restricted(helm, chart, values):
    release = helm.template(chart, values)
    pods = [release.pod, *(pod["spec"] for pod in release.all("Pod"))]
    restricted = not values.read_text().startswith(PRIVILEGED)
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            context = container["securityContext"]
            assert context["capabilities"]["drop"] == ["ALL"]
            assert context.get("readOnlyRootFilesystem") is True or container["name"] == "viewer"
            if restricted:
                assert "hostNetwork" not in pod
                assert context["allowPrivilegeEscalation"] is False
                assert "add" not in context["capabilities"]
                assert "runAsUser" not in context


def test_no_command_is_a_shell_and_each_container_knows_its_index(helm, chart, values):
    release = helm.template(chart, values)
    for name, container in release.containers.items():
        if name == "viewer":
            continue
        assert container["command"][0].startswith("emu-")
        field = release.environment(name)["VIS_RECEIVE_INDEX"]["fieldRef"]["fieldPath"]
        assert field == "metadata.labels['batch.kubernetes.io/job-completion-index']"


def test_the_committed_schema_takes_the_file(chart, values):
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(values.read_text()) or {})


def test_names_are_of_the_contract(helm, chart, values):
    release = helm.template(chart, values, release="obs-1", namespace="telescope")
    assert release.one("Job")["metadata"]["name"] == "obs-1"
    for manifest in release.manifests:
        metadata = manifest["metadata"]
        assert metadata["name"] in {"obs-1", "obs-1-results", "obs-1-selftest"}
        assert metadata["namespace"] == "telescope"
        assert metadata["labels"]["app.kubernetes.io/name"] == chart
        assert metadata["labels"]["app.kubernetes.io/instance"] == "obs-1"
        assert metadata["labels"]["helm.sh/chart"].startswith(f"{chart}-")
