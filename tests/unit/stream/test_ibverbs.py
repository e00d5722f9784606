"""What ibverbs lacks on a machine is said in one line that tells what to do."""

from __future__ import annotations

import errno
import os
import resource
import types
from typing import TYPE_CHECKING, Any

import pytest

from receive.command.errors import ConfigError, NetworkError
from receive.stream.network import ibverbs
from receive.stream.network.ibverbs import (
    IbverbsPort,
    allow_locking,
    explain,
    open_ibverbs,
    require,
)
from receive.stream.network.sockets import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

HERE = "127.0.0.1"
BUFFER_BYTES = 1 << 24


class Machine:
    """Where `require` looks, with everything there until a test takes it away."""

    def __init__(self, folder: Path) -> None:
        self.sysfs, self.devices = folder / "sys", folder / "dev"
        (self.sysfs / "infiniband" / "mlx5_0").mkdir(parents=True)
        (self.sysfs / "net" / "lo" / "device" / "infiniband" / "mlx5_0").mkdir(parents=True)
        self.devices.mkdir()
        (self.devices / "uverbs0").touch()
        self.spead2: Any = types.SimpleNamespace(UdpIbvConfig=object)
        self.lacking = ""

    def load(self, library: str) -> None:
        if library == self.lacking:
            raise OSError(f"{library}: cannot open shared object file")

    def require(self, interface: str = HERE) -> None:
        require(
            "reception",
            interface,
            spead2_side=self.spead2,
            load=self.load,
            sysfs=self.sysfs,
            devices=self.devices,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refusal(machine: Machine, interface: str = HERE) -> str:
    with pytest.raises(NetworkError) as caught:
        machine.require(interface)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("reception.transport = ibverbs")
    return text


def test_a_machine_that_has_everything_may_begin(machine: Machine) -> None:
    machine.require()


def test_spead2_built_without_ibverbs(machine: Machine) -> None:
    machine.spead2 = types.SimpleNamespace()
    assert "built without ibverbs" in refusal(machine)


@pytest.mark.parametrize("library", ["libibverbs.so.1", "librdmacm.so.1"])
def test_a_library_is_missing(machine: Machine, library: str) -> None:
    machine.lacking = library
    text = refusal(machine)
    assert library in text
    assert "apt install ibverbs-providers librdmacm1" in text


def test_no_device(machine: Machine) -> None:
    (machine.sysfs / "infiniband" / "mlx5_0").rmdir()
    assert "no RDMA device" in refusal(machine)
    (machine.sysfs / "infiniband").rmdir()
    assert "no RDMA device" in refusal(machine)


def test_a_container_that_was_not_given_the_device(machine: Machine) -> None:
    (machine.devices / "uverbs0").unlink()
    assert "--device=/dev/infiniband" in refusal(machine)


def test_an_address_of_another_machine(machine: Machine) -> None:
    text = refusal(machine, "192.0.2.7")
    assert "192.0.2.7 is not an address of this machine" in text
    assert "127.0.0.1 (lo, mlx5_0)" in text


def failed(call: str, code: int) -> RuntimeError:
    """Return an error as spead2 raises them."""
    return RuntimeError(f"{call} failed: {os.strerror(code)}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (failed("ibv_create_qp", errno.EPERM), ["setcap cap_net_raw+ep", "--cap-add=NET_RAW"]),
        (
            failed(
                "ibv_create_qp (could be a permission problem - do you have CAP_NET_RAW?)",
                errno.EINVAL,
            ),
            ["setcap cap_net_raw+ep"],
        ),
        (failed("ibv_reg_mr", errno.ENOMEM), ["memlock", "ulimit -l", "reception.buffer_size"]),
        (failed("rdma_bind_addr", errno.ENODEV), ["not that of an RDMA device", "use udp"]),
        (
            RuntimeError("rdma_bind_addr did not bind to an RDMA device: No such device"),
            ["not that of an RDMA device"],
        ),
        (ValueError("This device does not support flow steering"), ["flow steering", "use udp"]),
        (failed("ibv_create_flow", errno.EOPNOTSUPP), ["flow steering"]),
        (RuntimeError("something\nnew"), ["something new"]),
    ],
)
def test_each_failure_of_the_card_says_what_to_do(
    tmp_path: Path, error: Exception, words: list[str]
) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nCapEff:\t0000000000000000\n")
    text = explain(error, "reception", HERE, sysfs=tmp_path, status=status)
    assert "\n" not in text
    assert text.startswith("reception.transport = ibverbs on 127.0.0.1: ")
    for word in words:
        assert word in text


@pytest.fixture
def memlock(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Limits of locked memory as [(soft, hard)], for a user who may not lift the hard one."""
    limits = [(1 << 20, 8 << 20)]
    monkeypatch.setattr(ibverbs.resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(ibverbs.resource, "setrlimit", lambda _, new: limits.append(new))
    return limits


@pytest.fixture
def status(tmp_path: Path) -> Path:
    path = tmp_path / "status"
    path.write_text("CapEff:\t0000000000000000\n")
    return path


def test_too_little_memlock_is_one_warning_with_the_command(
    memlock: list[tuple[int, int]], status: Path, caplog: pytest.LogCaptureFixture
) -> None:
    allow_locking("reception", 4 * BUFFER_BYTES, status=status)
    assert memlock[-1] == (8 << 20, 8 << 20)
    (record,) = caplog.records
    # 64 MiB of buffers and a quarter for the queues, in KiB.
    assert f"- memlock {80 * 1024}' | sudo tee /etc/security/limits.d/" in record.message
    assert "ulimit -l must print 81920" in record.message
    assert "8388608 bytes" in record.message


def test_memlock_is_raised_where_that_is_enough(
    memlock: list[tuple[int, int]], status: Path, caplog: pytest.LogCaptureFixture
) -> None:
    allow_locking("reception", 4 << 20, status=status)
    assert memlock[-1] == (8 << 20, 8 << 20)
    assert not caplog.records


@pytest.mark.parametrize(
    ("limit", "capabilities"), [(resource.RLIM_INFINITY, 0), (1, 1 << 14), (1 << 30, 0)]
)
def test_enough_memlock_is_left_alone(
    memlock: list[tuple[int, int]],
    status: Path,
    caplog: pytest.LogCaptureFixture,
    limit: int,
    capabilities: int,
) -> None:
    memlock.append((limit, limit))
    status.write_text(f"CapEff:\t{capabilities:016x}\n")
    allow_locking("reception", BUFFER_BYTES, status=status)
    assert memlock[-1] == (limit, limit)
    assert not caplog.records


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibverbs, "require", lambda *_, **__: None)
    monkeypatch.setattr(ibverbs, "allow_locking", lambda *_, **__: None)


class Recording:
    """Stands in for the stream: remembers what the card would be told."""

    def __init__(self) -> None:
        self.configs: list[Any] = []

    def add_udp_ibv_reader(self, config: Any) -> None:
        self.configs.append(config)


def told(ports: list[IbverbsPort], max_packet_bytes: int = 9200) -> list[Any]:
    stream = Recording()
    for port in ports:
        port.attach(stream, max_packet_bytes)
        port.close()
    return stream.configs


@pytest.mark.usefixtures("available")
def test_each_stream_of_a_group_has_a_port_of_it() -> None:
    endpoint = Endpoint("239.255.1.2", HERE)
    configs = told(open_ibverbs(endpoint, [7000, 7001, 7002], BUFFER_BYTES), 8972)
    assert [c.endpoints for c in configs] == [[("239.255.1.2", 7000 + i)] for i in range(3)]
    assert {c.interface_address for c in configs} == {HERE}
    assert {c.buffer_size for c in configs} == {BUFFER_BYTES}
    assert {c.max_size for c in configs} == {8972}


@pytest.mark.usefixtures("available")
@pytest.mark.parametrize("address", ["0.0.0.0", HERE])  # noqa: S104 -- what is configured
def test_without_a_group_the_interface_is_received_on_and_the_port_is_claimed(
    address: str,
) -> None:
    ports = open_ibverbs(Endpoint(address, HERE), [0], BUFFER_BYTES)
    claim = ports[0].claim
    assert claim is not None
    taken = claim.getsockname()[1]
    with pytest.raises(NetworkError, match=f"UDP port {taken} .* in use"):
        open_ibverbs(Endpoint(address, HERE), [taken], BUFFER_BYTES)
    assert told(ports)[0].endpoints == [(HERE, 0)]


@pytest.mark.usefixtures("available")
def test_ipv6_is_refused() -> None:
    with pytest.raises(ConfigError, match="IPv6"):
        open_ibverbs(Endpoint("::1", HERE), [7000], BUFFER_BYTES)


def test_a_card_that_cannot_be_used_is_a_network_error() -> None:
    class Refusing:
        def add_udp_ibv_reader(self, config: Any) -> None:
            raise failed("rdma_bind_addr", errno.ENODEV)

    with pytest.raises(NetworkError, match="not that of an RDMA device"):
        IbverbsPort(HERE, 7000, HERE, BUFFER_BYTES).attach(Refusing(), 9200)
