"""``no_proxy`` by the rules of Go: what is reached directly, and what another program is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.download.proxies import Proxies

PROXY = "http://proxy.example:3128"

# What golang.org/x/net/http/httpproxy (v0.62.0) does: entries, URLs that are reached directly by
# them, and URLs that are not.
RULES = {
    "": ("", "http://example.org http://10.1.2.3"),
    "name": (
        "http://example.org https://example.org:8443 http://a.example.org http://b.a.EXAMPLE.org",
        "http://notexample.org http://example.org.evil.example http://example.com",
    ),
    ".name": ("http://a.example.org:8080 http://b.a.example.org", "http://example.org"),
    "*.name": ("http://a.example.org:8080 http://b.a.example.org", "http://example.org"),
    "NAME": ("http://example.org http://a.example.org", "http://example.com"),
    "name:8080": (
        "http://example.org:8080 https://a.example.org:8080",
        "http://example.org https://example.org http://example.org:80",
    ),
    "name:80": ("http://example.org http://example.org:80", "https://example.org"),
    "name:443": ("https://example.org", "http://example.org"),
    ".name:8080": ("http://a.example.org:8080", "http://example.org:8080 http://a.example.org"),
    "*.name:8080": ("http://a.example.org:8080", "http://example.org:8080 http://a.example.org"),
    "name:": ("http://example.org http://example.org:81", ""),
    " name ": ("http://example.org", "http://example.com"),
    "other.example, name ,": ("http://example.org http://other.example", "http://example.com"),
    "name.": ("http://example.org.", "http://example.org"),
    "*name": ("", "http://example.org http://a.example.org http://notexample.org"),
    "example.*": ("", "http://example.org"),
    "http://example.org": ("", "http://example.org"),
    "*": ("http://example.org https://10.1.2.3 http://[2001:db8::1]:8080", ""),
    "other.example,*": ("http://example.org", ""),
    "*:80": ("", "http://example.org"),
    "10.1.2.3": ("http://10.1.2.3 https://10.1.2.3:8443", "http://10.1.2.4 http://10.1.2.3.example"),
    "10.1.2.3:8080": ("http://10.1.2.3:8080", "http://10.1.2.3"),
    "10.0.0.0/8": ("http://10.1.2.3:99 http://[::ffff:10.1.2.3]", "http://11.1.2.3 http://ten.example"),
    "10.1.2.3/8": ("http://10.255.0.1", "http://11.1.2.3"),
    "10.0.0.0/08": ("http://10.255.0.1", "http://11.1.2.3"),
    "10.0.0.0/255.0.0.0": ("", "http://10.1.2.3"),
    "10.0.0.0/33": ("", "http://10.1.2.3"),
    "10.0.0.0/8:80": ("", "http://10.1.2.3"),
    "10.1": ("", "http://10.1.2.3"),
    ".3": ("", "http://10.1.2.3"),
    "0.0.0.0/0": ("http://192.0.2.1 http://10.1.2.3", "http://[2001:db8::1] http://example.org"),
    "2001:db8::1": ("http://[2001:db8::1] http://[2001:DB8:0::1]:8080", "http://[2001:db8::2]"),
    "[2001:db8::1]:8080": ("http://[2001:db8::1]:8080", "http://[2001:db8::1]"),
    "2001:db8::/32": ("http://[2001:db8:1::2]:99", "http://[2001:db9::1] http://10.1.2.3"),
    "2001:db8::/129": ("", "http://[2001:db8::1]"),
    "::/0": ("http://[2001:db8::1]", "http://10.1.2.3 http://[::ffff:10.1.2.3]"),
    "::ffff:10.0.0.0/104": ("http://10.1.2.3", "http://11.1.2.3"),
    "fe80::1%eth0": ("", "http://[fe80::1]"),
    "bücher.example": (
        "http://bücher.example http://www.bücher.example http://xn--bcher-kva.example",
        "http://bucher.example",
    ),
    "BÜCHER.example": ("http://bücher.example", ""),
    "xn--bcher-kva.example": ("http://bücher.example", ""),
    "*.bücher.example:80": ("http://www.bücher.example", "http://bücher.example"),
    "svc": ("http://svc http://a.svc", "http://a.svc.cluster.local"),
    ".svc,.cluster.local": ("http://a.b.svc http://a.svc.cluster.local:9000", "http://svc"),
    "host_1.example.org": ("http://host_1.example.org", "http://host.example.org"),
    ",,:80,[],[,]": ("", "http://example.org http://10.1.2.3"),
}  # fmt: skip

# What Go makes no sense of, and people write; other programs are told what Go reads.
OURS = {
    "other.example name": ("http://example.org http://other.example", "http://example.com"),
    "other.example\tname\n10.0.0.0/8": ("http://example.org http://10.1.2.3", "http://11.1.2.3"),
    "[2001:db8::1]": ("http://[2001:db8::1] http://[2001:db8::1]:8080", "http://[2001:db8::2]"),
}


def cases():
    for rules in (RULES, OURS):
        for text, (direct, through) in rules.items():
            value = text.replace("name", "example.org").replace("NAME", "EXAMPLE.Org")
            yield from ((value, url, None) for url in direct.split())
            yield from ((value, url, PROXY) for url in through.split())


@pytest.mark.parametrize(("no_proxy", "url", "expected"), list(cases()))
def test_what_is_reached_through_the_proxy(no_proxy, url, expected):
    proxies = Proxies.of({"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": no_proxy})
    assert proxies.of_url(url) == expected
    told = Proxies.of(proxies.environment())
    assert told.of_url(url) == expected


@pytest.mark.parametrize(
    "url",
    ["http://localhost", "https://127.0.0.1:8443", "http://127.9.9.9", "http://[::1]:80",
     "http://[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_this_machine_is_always_reached_directly(url):
    assert Proxies(PROXY, PROXY).of_url(url) is None


@pytest.mark.parametrize(
    "url", ["http://localhost.example", "http://a.localhost", "http://0.0.0.0"]
)
def test_what_only_looks_like_it_is_not(url):
    assert Proxies(PROXY, PROXY).of_url(url) == PROXY


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({}, None, None),
        ({"http_proxy": PROXY}, PROXY, None),
        ({"HTTPS_PROXY": PROXY}, None, PROXY),
        ({"http_proxy": PROXY, "HTTP_PROXY": "http://other.example"}, PROXY, None),
        ({"http_proxy": "", "HTTP_PROXY": PROXY}, None, None),
        ({"all_proxy": PROXY}, PROXY, PROXY),
        ({"ALL_PROXY": PROXY, "http_proxy": ""}, None, PROXY),
        ({"no_proxy": "*", "NO_PROXY": "", "http_proxy": PROXY, "ftp_proxy": PROXY}, None, None),
    ],
)
def test_the_variables_and_what_others_are_told(environment, http, https):
    proxies = Proxies.of(environment)
    assert proxies.of_url("http://example.org") == http
    assert proxies.of_url("https://example.org") == https
    told = proxies.environment()
    assert Proxies.of(told).of_url("http://example.org") == http
    assert Proxies.of(told).of_url("https://example.org") == https
    # Go takes the large ones first, Python and curl the small ones.
    assert all(told[name.swapcase()] == value for name, value in told.items())
    if http is None and https is None and "http_proxy" not in environment:
        assert told == {}


HOSTS = ["example.org", "10.1.2.3", "[2001:db8::1]", "bücher.example", "a.b.c", "[::1]", "1.2.3"]
PIECES = st.sampled_from([*".*:/[]-, %8", "10.0.0.0", "/8", "2001:db8::", "example", "org", "é"])


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20), st.sampled_from(HOSTS))
def test_whatever_stands_there_others_are_told_the_same(no_proxy, host):
    proxies = Proxies(PROXY, PROXY, no_proxy)
    url = f"http://{host}:8080/"
    assert Proxies.of(proxies.environment()).of_url(url) == proxies.of_url(url)
