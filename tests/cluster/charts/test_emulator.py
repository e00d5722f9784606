"""What the chart `emulator` makes of its values, and that it can be part of another chart."""

from __future__ import annotations

import shutil

import pytest
import yaml

from tests.cluster.charts.rendering import CHARTS, Helm

TO = ("--set", "transmission.endpoints={receive-0.receive:41000,receive-1.receive:41001}")


def test_it_waits_for_its_receivers_and_sends_the_model(helm):
    release = helm.template("emulator", *TO, "--set", "model.name=m.ms,waitForReceivers=60")
    assert release.containers["sender"]["command"] == [
        "emu-send",
        "-c",
        "/etc/vis-receive/config.json",
        "--wait-hosts",
        "60",
        "/model/m.ms",
    ]
    assert release.config["transmission"] == {
        "endpoints": ["receive-0.receive:41000", "receive-1.receive:41001"]
    }
    assert release.job["backoffLimitPerIndex"] == 0
    assert release.pod["restartPolicy"] == "Never"


def test_the_model_comes_as_in_chart_receive(helm):
    options = (
        "--set",
        "model.url=https://h/m.zip,proxy.use=true,proxy.server=me:hunter2@proxy:3128",
    )
    sender = helm.template("emulator", *TO, *options, release="same")
    receiver = helm.template("receive", *options, release="same")
    assert sender.containers["model"] == receiver.containers["model"]
    assert sender.secret == {key: receiver.secret[key] for key in ("config.json", "proxy")}
    assert not any("proxy" in name.lower() for name in sender.environment("sender"))


@pytest.mark.parametrize("option", ["--set", "--set-string"])
def test_how_the_model_is_fetched(helm3, option):
    plain = "modelFetch.retries=1,modelFetch.maxUnpacked=20Gi,modelFetch.maxRatio=1000.5"
    for chart in ("receive", "emulator"):
        options = ("--set", "modelFetch.stallTimeout=1.5,modelFetch.timeout=60", option, plain)
        command = helm3.template(chart, *TO, *options).containers["model"]["command"]
        chosen = {
            "--retries=1",
            "--stall-timeout=1.5",
            "--timeout=60",
            f"--max-unpacked={20 << 30}",
        }
        assert chosen <= set(command)
    assert "modelFetch" in helm3.refusal("receive", "--set", "modelFetch.retries=often")
    assert "maxUnpacked" in helm3.refusal("receive", "--set", "modelFetch.maxUnpacked=lots")


@pytest.mark.parametrize("chart", ["receive", "emulator"])
def test_a_chart_of_charts_can_hold_it(helm_binaries, tmp_path, chart):
    umbrella = tmp_path / "umbrella"
    shutil.copytree(CHARTS / chart, umbrella / "charts" / chart)
    (umbrella / "Chart.yaml").write_text("apiVersion: v2\nname: umbrella\nversion: 1.0.0\n")
    (umbrella / "values.yaml").write_text(
        yaml.safe_dump({"global": {"site": "here"}, chart: {"transmission": {"target_host": "h"}}})
    )
    for binary in helm_binaries.values():
        assert Helm(binary).template(str(umbrella), release="site").one("Job")
