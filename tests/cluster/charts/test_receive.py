"""What the chart `receive` makes of its values."""

from __future__ import annotations

import json

import pytest

from receive.config import Config

USES_PROXY = ("--set", "proxy.use=true,proxy.server=proxy.example.org:3128")
IN_CLUSTER = "receive.work.svc.cluster.local"
PUSHES = ("--set", "results.push=true,rclone.command=s3:b/o.ms,rclone.secret=remote")


# --- the Job ------------------------------------------------------------------------------------


def test_defaults_are_a_test_observation_of_one_pod(helm):
    release = helm.template("receive")
    assert list(release.containers) == ["model", "receiver", "sender"]
    assert release.job["completionMode"] == "Indexed"
    assert (release.job["completions"], release.job["parallelism"]) == (1, 1)
    assert release.job["backoffLimitPerIndex"] == 2
    for unset in ("maxFailedIndexes", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        assert unset not in release.job
    assert release.pod["restartPolicy"] == "Never"
    assert release.pod["subdomain"] == "receive"
    assert release.pod["terminationGracePeriodSeconds"] >= 300
    assert not release.all("PersistentVolumeClaim")
    assert release.config == {
        "reception": {
            "process_count": 1,
            "datamodel": "/model/sim-vis.ms",
            "idle_timeout": 600,
            "sources": ["127.0.0.1", "::1"],
        },
        "monitor": {
            "port": 8080,
            "bind_hostname": "0.0.0.0",  # noqa: S104 (in the pod)
            "hosts": [
                part
                for name in ("receive", "receive.work", "receive.work.svc", IN_CLUSTER)
                for part in (name, f"*.{name}")
            ],
            "token_file": "/etc/vis-receive-token/token",
        },
    }


def test_commands_are_those_of_the_contract(helm):
    release = helm.template(
        "receive", *PUSHES, "--set", "reception.outputfilename=out.ms,model.name=m.ms"
    )
    commands = {name: " ".join(one["command"]) for name, one in release.containers.items()}
    public, secret = "-c /etc/vis-receive/config.json", "-c /etc/vis-receive-secret/config.json"
    index = "-o reception.process_index=$(VIS_RECEIVE_INDEX)"
    assert commands == {
        "model": f"emu-fetch-model {public} {secret} --to /model",
        "receiver": f"emu-recv {public} {index} --run-folder /run/vis-receive --next-attempt "
        "--summary-file /results/out.summary.json",
        "sender": f"emu-send {public} --receiver /run/vis-receive /model/m.ms",
        "push": f"emu-push {public} {secret} {index} --run-folder /run/vis-receive "
        "--scratch /run/vis-receive-push --rclone-config /etc/rclone/rclone.conf",
    }


def test_the_failure_policy_and_what_turns_it_off(helm):
    def rules(*options):
        policy = helm.template("receive", *options).job["podFailurePolicy"]["rules"]
        ignored, *failed = policy
        assert ignored["action"] == "Ignore"
        assert ignored["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
        assert {rule["action"] for rule in failed} == {"FailIndex"}
        codes = [rule["onExitCodes"] for rule in failed]
        return {code["containerName"]: code["values"] for code in codes}

    assert rules() == {"model": [2], "receiver": [2], "sender": [2]}
    alone = ("--set", "transmit.model=false,model.pull=false,reception.datamodel=/data/model.ms")
    assert rules(*alone) == {"receiver": [2]}
    assert rules(*alone, *PUSHES) == {"receiver": [2], "push": [2, 10]}
    off = helm.template("receive", "--set", "replaceLostPodsQuickly=true,attempts=0").job
    assert "podFailurePolicy" not in off
    assert off["backoffLimitPerIndex"] == 0


def test_the_end_of_a_failed_containers_log_is_its_message(helm):
    release = helm.template("receive", *PUSHES)
    policies = {one["terminationMessagePolicy"] for one in release.containers.values()}
    assert policies == {"FallbackToLogsOnError"}


def test_deadlines(helm):
    job = helm.template(
        "receive", "--set", "activeDeadlineSeconds=86400,ttlSecondsAfterFinished=0"
    ).job
    assert job["activeDeadlineSeconds"] == 86400
    assert job["ttlSecondsAfterFinished"] == 0


def test_the_service_is_headless_and_publishes_what_is_ready(helm):
    service = helm.template("receive").one("Service")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is False
    assert [port["name"] for port in service["spec"]["ports"]] == ["monitor"]
    off = helm.template("receive", "--set", "monitor.port=0")
    assert "ports" not in off.one("Service")["spec"]


@pytest.mark.parametrize("given", ["SingleStack", "RequireDualStack", ""])
def test_the_families_of_the_services_names(helm, given):
    service = helm.template("receive").one("Service")
    assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    service = helm.template("receive", "--set", f"service.ipFamilyPolicy={given}").one("Service")
    assert service["spec"].get("ipFamilyPolicy", "") == given


def test_families_that_kubernetes_does_not_know_are_refused(helm):
    message = helm.refusal("receive", "--set", "service.ipFamilyPolicy=Both")
    assert "ipFamilyPolicy" in message


def test_probes_ask_the_monitor_and_starting_may_take_start_timeout(helm):
    receiver = helm.template("receive", "--set", "results.start_timeout=90").containers["receiver"]
    startup = receiver["startupProbe"]
    assert startup["httpGet"] == {"path": "/readyz", "port": "monitor"}
    assert startup["failureThreshold"] * startup["periodSeconds"] == 90
    # It has nothing to close yet.
    assert startup["terminationGracePeriodSeconds"] == 10
    assert receiver["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert receiver["livenessProbe"]["httpGet"]["path"] == "/healthz"
    off = helm.template("receive", "--set", "monitor.port=0")
    assert not {"startupProbe", "readinessProbe", "livenessProbe", "ports"} & set(
        off.containers["receiver"]
    )
    assert "token" not in off.secret


# --- configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("--set=reception.ring_heaps=133", "reception.ring_heaps", 133),
        ("--set-string=reception.ring_heaps=133", "reception.ring_heaps", 133),
        ("--set=transmission.rate=1073741824", "transmission.rate", 2.0**30),
        ("--set-string=transmission.rate=1.073741824e+09", "transmission.rate", 2.0**30),
        ("--set=reception.buffer_memory=8 MiB", "reception.buffer_memory", 2**23),
        ("--set=reception.dump_timeout=1.5", "reception.dump_timeout", 1.5),
        ("--set=transmission.endpoints={h:1-2,h:3}", "transmission.endpoints", ["h:1-2", "h:3"]),
        ("--set=reception.receiver_port_start=42000", "reception.port_start", 42000),
        ("--set=reception.method=spead2_receivers", "reception.method", "spead2"),
        ("--set=transmit.model=false", "transmit.model", False),
        ("--set=transmission.scan_id=9007199254740993", "transmission.scan_id", 2**53 + 1),
    ],
)
def test_keys_as_people_type_them(helm, typed, key, value):
    release = helm.template("receive", typed)
    assert Config.from_mapping(release.config)[key] == value
    assert "e+" not in release.one("ConfigMap")["data"]["config.json"] or "string" in typed


@pytest.mark.parametrize("typed", ["false", "False", "no", "0"])
@pytest.mark.parametrize("option", ["--set", "--set-string"])
def test_switches_as_people_type_them(helm3, option, typed):
    assert "sender" not in helm3.template("receive", option, f"transmit.model={typed}").containers


def test_null_puts_a_key_back_to_the_receivers_default(helm):
    release = helm.template("receive", "--set", "reception.idle_timeout=null")
    assert "idle_timeout" not in release.config["reception"]


def test_credentials_of_the_configuration_are_kept_apart(helm):
    options = ("--set", "model.url=https://u:p@host/m.zip?a=1", "--set", "results.push=true")
    options += ("--set", "rclone.configurl=https://host/rclone.conf?dl=1,rclone.command=gcs:/b")
    release = helm.template("receive", *options)
    assert json.loads(release.secret["config.json"]) == {
        "model": {"url": "https://u:p@host/m.zip?a=1"},
        "rclone": {"configurl": "https://host/rclone.conf?dl=1"},
    }
    holders = {
        name for name in release.containers if "/etc/vis-receive-secret" in release.mounts(name)
    }
    assert holders == {"model", "push"}
    assert [item["key"] for item in release.volumes()["secret"]["secret"]["items"]] == [
        "config.json"
    ]


def test_the_token_is_the_receivers_alone(helm):
    release = helm.template("receive", *PUSHES, "--set", "stopToken=halt")
    assert release.secret["token"] == "halt"  # noqa: S105 (of this test)
    holders = {
        name for name in release.containers if "/etc/vis-receive-token" in release.mounts(name)
    }
    assert holders == {"receiver"}
    assert len(helm.template("receive").secret["token"]) == 32
    none = helm.template("receive", "--set-string", "monitor.token_file=")
    assert "token" not in none.secret
    assert Config.from_mapping(none.config)["monitor.token_file"] is None


# --- storage ------------------------------------------------------------------------------------


def test_results_lie_in_the_pod_without_a_limit(helm3):
    release = helm3.template("receive")
    assert release.volumes()["results"]["emptyDir"] == {}
    assert "subPathExpr" not in release.mounts("receiver")["/results"]


@pytest.mark.parametrize(
    ("options", "claim"),
    [
        ("storage.existingClaim=mine", "mine"),
        ("pvc.name=mine", "mine"),
        ("storage.size=10Gi", "receive-results"),
    ],
)
def test_a_shared_claim_has_a_folder_for_each_pod(helm, options, claim):
    release = helm.template("receive", *PUSHES, "--set", options, "--set", "processes=3")
    assert release.volumes()["results"]["persistentVolumeClaim"] == {"claimName": claim}
    for name in ("receiver", "push"):
        mount = release.mounts(name)["/results"]
        assert mount["subPathExpr"] == "receive/$(VIS_RECEIVE_INDEX)"
    made = [one["metadata"]["name"] for one in release.all("PersistentVolumeClaim")]
    assert made == ([] if claim == "mine" else [claim])


def test_the_claim_made(helm3):
    one = helm3.template("receive", "--set", "storage.size=1Ti").one("PersistentVolumeClaim")
    assert one["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Ti"}},
    }
    assert "annotations" not in one["metadata"]
    several = helm3.template(
        "receive",
        "--set",
        "storage.size=1Ti,processes=2,storage.keep=true,storage.storageClass=fast",
    ).one("PersistentVolumeClaim")
    assert several["spec"]["accessModes"] == ["ReadWriteMany"]
    assert several["spec"]["storageClassName"] == "fast"
    assert several["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "limit", "request_"),
    [
        ("processes=1", "2048Mi", "1024Mi"),
        ("reception.buffer_memory=1 GiB", "4096Mi", "2048Mi"),
        ("reception.buffer_memory=8589934592", "32768Mi", "16384Mi"),
        ("reception.buffer_memory=1MiB", "2048Mi", "1024Mi"),
        ("reception.buffer_memory=2GB", "7630Mi", "3815Mi"),
        ("sharedMemory.size=1Gi", "3072Mi", "1536Mi"),
        ("resources.limits.memory=512Mi", "512Mi", None),
        ("resources.requests.memory=9Gi", "9Gi", "9Gi"),
    ],
)
def test_memory_follows_buffer_memory(helm, options, limit, request_):
    resources = helm.template("receive", "--set", options).containers["receiver"]["resources"]
    assert resources["limits"]["memory"] == limit
    assert resources["requests"].get("memory") == request_
    assert resources["requests"]["cpu"] == "250m"


# --- around the pods ----------------------------------------------------------------------------


def test_the_network_policy_lets_in_packets_and_out_what_is_needed(helm):
    options = ("--set", "networkPolicy.enabled=true,reception.num_ports=8,reception.transport=tcp")
    spec = helm.template("receive", *options).one("NetworkPolicy")["spec"]
    assert [rule["ports"] for rule in spec["ingress"]] == [
        [{"protocol": "TCP", "port": 41000, "endPort": 41007}],
        [{"protocol": "TCP", "port": 8080}],
    ]
    assert [port["port"] for rule in spec["egress"] for port in rule["ports"]] == [53, 53, 80, 443]
    proxied = helm.template("receive", *options, *USES_PROXY).one("NetworkPolicy")["spec"]
    assert [port["port"] for port in proxied["egress"][1]["ports"]] == [3128]
    alone = helm.template(
        "receive", *options, "--set", "model.pull=false,reception.datamodel=/data/m.ms"
    )
    assert len(alone.one("NetworkPolicy")["spec"]["egress"]) == 1


def test_monitoring(helm3):
    release = helm3.template(
        "receive",
        "--set",
        "monitoring.annotations=true,monitoring.podMonitor.enabled=true,monitor.port=9000",
    )
    annotations = release.job["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "9000"
    [endpoint] = release.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("monitor", "/metrics")
    assert not helm3.template("receive").all("PodMonitor")


def test_a_disruption_budget_counts_pods(helm3):
    options = ("--set", "podDisruptionBudget.enabled=true,processes=4")
    assert (
        helm3.template("receive", *options).one("PodDisruptionBudget")["spec"]["minAvailable"] == 4
    )


@pytest.mark.parametrize(
    ("options", "receiver", "push"),
    [
        ("image.tag=t", "localhost/vis-receive/receive:t", "localhost/vis-receive/push:t"),
        ("version=t", "localhost/vis-receive/receive:t", "localhost/vis-receive/push:t"),
        ("image=h:5000/r,version=t", "h:5000/r:t", "localhost/vis-receive/push:t"),
        ("image=h:5000/r:u,version=t", "h:5000/r:u", "localhost/vis-receive/push:t"),
        (
            "image.digest=sha256:ab,pushImage.tag=p",
            "localhost/vis-receive/receive@sha256:ab",
            "localhost/vis-receive/push:p",
        ),
        ("image.tag=20261121", "localhost/vis-receive/receive:20261121", None),
    ],
)
def test_images(helm, options, receiver, push):
    release = helm.template("receive", *PUSHES, "--set", options)
    for name in ("model", "receiver", "sender"):
        assert release.containers[name]["image"] == receiver
    if push is not None:
        assert release.containers["push"]["image"] == push


def test_the_self_test_runs_one_command(helm):
    pod = helm.template("receive").one("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert [container["command"] for container in pod["spec"]["containers"]] == [["emu-selftest"]]


def test_names_of_older_charts(helm):
    release = helm.template(
        "receive", "--set", "replicas=3,pvc.name=data,pvc.path=/mnt/data,initContainersEnabled=true"
    )
    assert release.job["completions"] == 3
    mounts = release.mounts("receiver")
    assert mounts["/mnt/data"] == mounts["/results"] | {"mountPath": "/mnt/data"}
    assert release.config["model"] == {"pull": True}


# --- what may not change ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    ["processes=2", "reception.ring_heaps=8", "image.tag=other", "podLabels.a=b", "attempts=1"],
)
def test_the_checksum_changes_with_what_a_running_job_cannot_take(helm3, option):
    assert helm3.template("receive", "--set", option).checksum != helm3.template("receive").checksum


@pytest.mark.parametrize(
    "option",
    ["labels.a=b", "activeDeadlineSeconds=60", "stopToken=x", "networkPolicy.enabled=true"],
)
def test_the_checksum_stays_with_what_it_can(helm, option):
    assert helm.template("receive", "--set", option).checksum == helm.template("receive").checksum


def test_the_pods_labels_do_not_name_a_version(helm3):
    labels = helm3.template("receive").job["template"]["metadata"]["labels"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)
