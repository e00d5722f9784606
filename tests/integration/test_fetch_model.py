"""``emu-fetch-model`` against real servers, real archives and a real proxy."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests import archives
from tests.commands import BIN, TIMEOUT_S, options
from tests.proxy import proxying
from tests.site import Fault, Site, serving
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.patient

NAME = "model.tar.gz"
WITHOUT_PROXY = {
    name: value
    for name, value in os.environ.items()
    if not name.lower().endswith("_proxy") and name != "VIS_RECEIVE_SAMPLE"
}


@pytest.fixture
def site():
    with serving(Site({NAME: archives.packed("tar.gz")})) as served:
        yield served


@pytest.fixture
def to(tmp_path):
    return tmp_path / "model"


def fetch(
    to: Path, url: object, *flags: str, env: dict[str, str] | None = None, **values: Any
) -> subprocess.CompletedProcess[str]:
    settings = {"model.url": url} if url is not None else {}
    settings |= {f"model.{name}": value for name, value in values.items()}
    return subprocess.run(
        [BIN / "emu-fetch-model", "--to", to, *options(settings), *flags],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=WITHOUT_PROXY | (env or {}),
        cwd=to.parent,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_fetched(done: subprocess.CompletedProcess[str], to: Path) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{to / 'sim-vis.ms'}\n"
    assert contents(to / "sim-vis.ms") == archives.SET
    assert not list(to.glob(".*.fetching"))


def assert_refused(done: subprocess.CompletedProcess[str], to: Path, code: int) -> str:
    assert done.returncode == code, done.stderr
    assert not to.exists() or [path.suffix for path in to.iterdir()] in ([], [".lock"])
    last = done.stderr.splitlines()[-1]
    assert last.startswith("emu-fetch-model: error: ")
    return last


# --- what is fetched ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "zip"])
@pytest.mark.parametrize("way", ["http", "file", "path", "relative path", "sample"])
def test_a_model_comes_from_everywhere_in_every_format(tmp_path, to, kind, way):
    packed = archives.packed(kind)
    file = tmp_path / f"model.{kind}"
    file.write_bytes(packed)
    checksum = hashlib.sha256(packed).hexdigest().upper()
    with serving(Site({file.name: packed})) as site:
        urls = {
            "http": site.url(file.name),
            "file": f"file://{file}",
            "path": file,
            "relative path": file.name,
            "sample": None,
        }
        env = {"VIS_RECEIVE_SAMPLE": str(file)} if way == "sample" else {}
        done = fetch(to, urls[way], sha256=checksum, env=env)
    assert_fetched(done, to)
    assert (to / "sim-vis.ms").stat().st_mode & 0o555 == 0o555


def test_without_a_sample_a_url_must_be_given(to):
    done = fetch(to, None)
    assert "VIS_RECEIVE_SAMPLE" in assert_refused(done, to, 2)


def test_of_several_files_the_last_one_wins(tmp_path, to, site):
    public, secret = tmp_path / "config.json", tmp_path / "secret.json"
    public.write_text('{"model": {"name": "sim-vis.ms", "url": "http://127.0.0.1:1/none"}}')
    secret.write_text(f'{{"model": {{"url": "{site.url(NAME)}"}}}}')
    assert_fetched(fetch(to, None, "-c", str(public), "-c", str(secret)), to)


def test_what_is_there_is_not_fetched_again(to, site):
    assert_fetched(fetch(to, site.url(NAME)), to)
    asked = len(site.requests)
    done = fetch(to, site.url(NAME))
    assert_fetched(done, to)
    assert "is there already" in done.stderr
    assert len(site.requests) == asked


def test_another_model_takes_the_place_of_the_one_that_was_fetched(to, site):
    assert_fetched(fetch(to, site.url(NAME)), to)
    site.files["other.zip"] = archives.packed("zip", {"sim-vis.ms/table.dat": b"other"})
    assert fetch(to, site.url("other.zip")).returncode == 0
    assert contents(to / "sim-vis.ms") == {"table.dat": b"other"}


def test_a_set_of_somebody_else_is_left_alone(to, site):
    (to / "sim-vis.ms").mkdir(parents=True)
    done = fetch(to, site.url(NAME))
    assert done.returncode == 4
    assert "was not fetched by this command" in done.stderr
    assert list((to / "sim-vis.ms").iterdir()) == []


def test_what_an_interrupted_run_left_is_no_obstacle(to, site):
    (to / ".sim-vis.ms.fetching" / "sim-vis.ms").mkdir(parents=True)
    assert_fetched(fetch(to, site.url(NAME)), to)


# --- trouble on the way -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503),
        Fault(500),
        Fault(429, {"Retry-After": "0"}),
        Fault(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(sent_bytes=100),
        Fault(headers={"Content-Length": "99999999"}),
        Fault(sent_bytes=50, stalls=True),
    ],
    ids=["503", "500", "429", "429 date", "truncated", "wrong length", "stalled"],
)
@pytest.mark.parametrize("resumes", [True, False])
def test_trouble_that_passes_is_waited_for(to, site, fault, resumes):
    site.faults = [fault, Fault()]
    site.ranges = resumes
    done = fetch(to, site.url(NAME), "--stall-timeout", "0.5")
    assert_fetched(done, to)
    assert "attempt 2 of 9 follows" in done.stderr


def test_what_came_is_not_fetched_again_where_the_server_can_resume(to, site):
    site.faults = [Fault(sent_bytes=100), Fault(sent_bytes=50)]
    done = fetch(to, site.url(NAME))
    assert_fetched(done, to)
    ranges = [headers.get("Range") for _, headers in site.requests]
    assert ranges == [None, "bytes=100-", "bytes=150-"]


def test_another_file_is_not_joined_to_what_came(to, site):
    site.faults = [Fault(sent_bytes=100, headers={"ETag": '"older"'})]
    assert_fetched(fetch(to, site.url(NAME)), to)


def test_a_server_without_etag_is_asked_for_all(to, site):
    site.etag, site.faults = "", [Fault(sent_bytes=100)]
    assert_fetched(fetch(to, site.url(NAME)), to)
    assert all("Range" not in headers for _, headers in site.requests)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_the_server_refuses_is_not_asked_for_again(to, site, status):
    site.always = Fault(status)
    line = assert_refused(fetch(to, site.url(NAME)), to, 5)
    assert f"answered {status}" in line
    assert len(site.requests) == 1


def test_credentials_are_never_shown(to, site):
    site.faults = [Fault(503)]
    site.always = Fault(404)
    url = site.url(f"{NAME}?token=hush", user="me:quiet@")
    done = fetch(to, url, "-vv")
    line = assert_refused(done, to, 5)
    assert f"http://***@127.0.0.1:{site.port}/{NAME}?***" in line
    assert "hush" not in done.stderr
    assert "quiet" not in done.stderr


def test_a_connection_that_never_comes_ends_in_one_line(to, site):
    url = f"http://me:quiet@127.0.0.1:1/{NAME}?token=hush"
    done = fetch(to, url, "--retries", "1", "-vv")
    line = assert_refused(done, to, 5)
    assert "Connection refused; given up after 2 attempts" in line
    assert "hush" not in done.stderr
    assert "quiet" not in done.stderr


def test_a_server_that_stays_away_is_given_up(to, site):
    site.always = Fault(503)
    line = assert_refused(fetch(to, site.url(NAME), "--retries", "2"), to, 5)
    assert "answered 503 Service Unavailable; given up after 3 attempts" in line
    assert len(site.requests) == 3


def test_term_ends_it_at_once_and_leaves_nothing(tmp_path, to, site):
    site.always = Fault(sent_bytes=100, stalls=True)
    process = subprocess.Popen(
        [BIN / "emu-fetch-model", "--to", to, *options({"model.url": site.url(NAME)})],
        stderr=subprocess.PIPE,
        text=True,
        env=WITHOUT_PROXY,
    )
    assert site.stalled.wait(TIMEOUT_S)
    wait_until((to / ".sim-vis.ms.fetching" / "archive").exists, "it comes")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 143
    assert "Traceback" not in errors
    assert {path.name for path in to.iterdir()} == {".sim-vis.ms.lock"}


# --- proxies ------------------------------------------------------------------------------------


def far(site: Site) -> str:
    """Return a URL of the site by a name that only a proxy knows."""
    return f"http://site.example:{site.port}/{NAME}"


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_is_used(to, site, variable):
    with proxying("me:quiet") as proxy:
        env = {variable: f"http://me:quiet@127.0.0.1:{proxy.port}"}
        done = fetch(to, far(site), env=env)
    assert_fetched(done, to)
    assert proxy.urls == [far(site)]


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("value", ["*", "site.example", "EXAMPLE", "*.example", ".example:{port}"])
def test_what_needs_no_proxy_does_without(to, site, variable, value):
    with proxying() as proxy:
        env = {
            "http_proxy": f"http://127.0.0.1:{proxy.port}",
            variable: value.format(port=site.port),
        }
        line = assert_refused(fetch(to, far(site), "--retries", "0", env=env), to, 5)
        assert "the name of the server is not known" in line
        assert proxy.urls == []
        assert_fetched(
            fetch(to, far(site), env=env | {variable: "other.example,.site.example"}), to
        )
        assert proxy.urls == [far(site)]


def test_this_machine_needs_no_proxy(to, site):
    assert_fetched(fetch(to, site.url(NAME), env={"http_proxy": "http://127.0.0.1:1"}), to)


def test_a_proxy_that_refuses_or_is_away_is_told_of(to, site):
    with proxying("me:quiet") as proxy:
        done = fetch(to, far(site), env={"http_proxy": f"127.0.0.1:{proxy.port}"})
    assert "the proxy answered 407" in assert_refused(done, to, 5)
    env = {"http_proxy": "http://me:quiet@127.0.0.1:1"}
    done = fetch(to, far(site), "--retries", "0", env=env)
    assert "through the proxy" in assert_refused(done, to, 5)
    assert "quiet" not in done.stderr


# --- what must not be unpacked ------------------------------------------------------------------


def test_another_file_than_the_one_whose_checksum_was_given(to, site):
    line = assert_refused(fetch(to, site.url(NAME), sha256="0" * 64), to, 3)
    assert hashlib.sha256(site.files[NAME]).hexdigest() in line


def test_a_page_instead_of_an_archive(to, site):
    page = b"<!DOCTYPE html><html><head><title>Please log in</title></head></html>"
    site.files[NAME] = page
    line = assert_refused(fetch(to, site.url(NAME), sha256="0" * 64), to, 3)
    assert "is a web page, titled 'Please log in'," in line


def test_a_set_that_is_not_there_names_those_that_are(to, site):
    line = assert_refused(fetch(to, site.url(NAME), name="other.ms"), to, 3)
    assert line.endswith("the Measurement Sets there are 'data/sim-vis.ms'")


def test_a_bomb_is_refused_by_ratio_and_by_size(to, site):
    site.files[NAME] = archives.packed("tar.gz", {"sim-vis.ms/table.dat": bytes(100 << 20)})
    assert "--max-ratio" in assert_refused(fetch(to, site.url(NAME)), to, 3)
    done = fetch(to, site.url(NAME), "--max-unpacked", "10 MiB")
    assert "more than 10.0 MiB" in assert_refused(done, to, 3)
    assert fetch(to, site.url(NAME), "--max-ratio", "2000").returncode == 0


def test_no_room_is_no_fault_of_the_archive(to, site):
    # So much has no disk, and the file is not there to come.
    site.always = Fault(headers={"Content-Length": str(1 << 60)})
    assert "there is room for" in assert_refused(fetch(to, site.url(NAME)), to, 4)


@pytest.mark.parametrize(
    "url", ["ftp://host/a.tar.gz", "http:///a", "file://host/a", "http://a:b/"]
)
def test_urls_that_cannot_be_fetched(to, url):
    (to.parent).mkdir(exist_ok=True)
    assert "model.url" in assert_refused(fetch(to, url), to, 2)


@pytest.mark.parametrize("name", ["a/b.ms", "..", ".hidden", "a\\b"])
def test_names_that_are_no_names(to, site, name):
    assert "model.name" in assert_refused(fetch(to, site.url(NAME), name=name), to, 2)
