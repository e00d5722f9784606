"""Which variables rclone is given."""

from __future__ import annotations

import pytest

from receive.push.environment import rclone_environment


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR",
     "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS",
     "AZURE_CLIENT_ID", "IDENTITY_ENDPOINT", "OS_AUTH_URL", "SSH_AUTH_SOCK",
     "RCLONE_CONFIG_FAR_TYPE", "RCLONE_CONFIG_MY-S3_ACCESS_KEY_ID", "RCLONE_CONFIG_PASS"],
)  # fmt: skip
def test_what_it_needs_is_passed_on(name):
    assert rclone_environment({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    "name",
    ["RCLONE_LOG_LEVEL", "RCLONE_CONFIG", "RCLONE_CONFIG_DIR", "RCLONE_S3_REGION", "rclone_quiet",
     "RCLONE_PASSWORD_COMMAND", "RCLONE_CONFIG_FAR_GLOBAL.DRY_RUN", "RCLONE_CONFIG_", "GODEBUG",
     "RCLONE_CONFIG_FAR_override.size_only", "LD_PRELOAD", "REQUEST_METHOD", "MY_TOKEN"],
)  # fmt: skip
def test_nothing_else_is(name):
    assert rclone_environment({name: "value"}) == {}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_under_the_name_that_it_knows(tmp_path, name):
    assert rclone_environment({name: "/ca.crt"}) == {"SSL_CERT_FILE": "/ca.crt"}
    assert rclone_environment({name: str(tmp_path)}) == {"SSL_CERT_DIR": str(tmp_path)}
    own = {"SSL_CERT_FILE": "/own.crt"}
    assert rclone_environment({name: "/ca.crt", **own}) == own
