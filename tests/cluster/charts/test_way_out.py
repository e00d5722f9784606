"""Proxies and certificates: which containers see them, and what comes of what people type."""

from __future__ import annotations

import pytest

PROXIED = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
NOT_PROXIED = ("no_proxy", "NO_PROXY")
USES_PROXY = ("--set", "proxy.use=true,proxy.server=proxy.example.org:3128")
PUSHES = ("--set", "results.push=true,rclone.command=s3:b/o.ms,rclone.secret=remote")


def test_the_proxy_reaches_exactly_the_containers_that_go_out(helm):
    release = helm.template("receive", *PUSHES, *USES_PROXY)
    for name in release.containers:
        environment = release.environment(name)
        found = {variable for variable in environment if "proxy" in variable.lower()}
        if name in {"model", "push"}:
            assert found == {*PROXIED, *NOT_PROXIED}
            assert {environment[one] for one in PROXIED} == {"http://proxy.example.org:3128"}
        else:
            assert not found
    off = helm.template("receive", *PUSHES, "--set", "proxy.use=false,proxy.server=h:1")
    assert not any("proxy" in key.lower() for key in off.environment("model"))


@pytest.mark.parametrize("server", ["https://proxy:3128", "socks5://proxy:1080"])
def test_a_proxys_url_stays_as_it_is(helm3, server):
    release = helm3.template("receive", "--set", f"proxy.use=true,proxy.server={server}")
    assert release.environment("model")["https_proxy"] == server


@pytest.mark.parametrize("scheme", ["", "http://", "https://"])
def test_a_proxy_with_credentials_comes_from_the_secret(helm, scheme):
    release = helm.template(
        "receive", "--set", f"proxy.use=true,proxy.server={scheme}me:hunter2@proxy:3128"
    )
    assert release.secret["proxy"] == f"{scheme or 'http://'}me:hunter2@proxy:3128"
    for variable in PROXIED:
        reference = release.environment("model")[variable]["secretKeyRef"]
        assert reference == {"name": "receive", "key": "proxy"}


@pytest.mark.parametrize(
    ("typed", "more"),
    [
        ((), []),
        (("--set", "proxy.noproxy={}"), []),
        (("--set", "proxy.noproxy="), []),
        (("--set", "proxy.noproxy=null"), []),
        (("--set-string", "proxy.noproxy={}"), []),
        (("--set-json", "proxy.noproxy={}"), []),
        (("--set-json", 'proxy.noproxy="{}"'), []),
        (("--set-json", 'proxy.noproxy=[""]'), []),
        (("--set", "proxy.noproxy=a.org"), ["a.org"]),
        (("--set", "proxy.noproxy={a.org,10.0.0.0/8}"), ["a.org", "10.0.0.0/8"]),
        (("--set-json", 'proxy.noproxy="a.org, .b.org"'), ["a.org", ".b.org"]),
        (("--set-json", 'proxy.noproxy=["a.org", "", " b.org "]'), ["a.org", "b.org"]),
    ],
)
def test_what_is_reached_without_the_proxy(helm, typed, more):
    release = helm.template("receive", *USES_PROXY, *typed)
    environment = release.environment("model")
    assert environment["no_proxy"] == environment["NO_PROXY"]
    items = environment["no_proxy"].split(",")
    own = ["localhost", "127.0.0.1", "::1", ".svc", ".cluster.local", "$(KUBERNETES_SERVICE_HOST)"]
    assert set(own) <= set(items)
    assert [item for item in items if item in more] == more
    assert "" not in items
    assert len(items) == 9 + len(more)


@pytest.mark.parametrize(
    ("option", "volume"),
    [
        (
            "caBundle.configMap=site",
            {"configMap": {"name": "site", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        ),
        (
            "caBundle.secret=site,caBundle.key=x.pem",
            {"secret": {"secretName": "site", "items": [{"key": "x.pem", "path": "ca.crt"}]}},
        ),
    ],
)
def test_certificates_reach_the_containers_that_go_out(helm3, option, volume):
    release = helm3.template("receive", *PUSHES, "--set", option)
    assert release.volumes()["ca"] == {"name": "ca"} | volume
    for name in release.containers:
        outward = name in {"model", "push"}
        environment = release.environment(name)
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            assert environment.get(variable) == ("/etc/vis-receive-ca/ca.crt" if outward else None)
        assert ("/etc/vis-receive-ca" in release.mounts(name)) == outward
