from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from receive.command.errors import ConfigError
from receive.config import Config
from receive.config.keys import CATEGORIES, KEYS, Kind, find_key


def test_defaults_are_those_of_the_reference():
    config = Config.load()
    assert config["reception.method"] == "spead2"
    assert config["reception.ring_heaps"] == 16
    assert config["reception.outputfilename"] == "recv-vis.ms"
    assert config["reception.consumer"] == ["mswriter"]
    assert config["reception.backpressure"] is False
    assert config["reception.num_ports"] is None
    assert config["reception.buffer_size"] == 8 * 2**20
    assert config["transmission.rate"] == 2**30
    assert isinstance(config["transmission.rate"], float)
    assert config["transmission.hardware_id"] == 0xBEEF
    assert config["proxy.noproxy"] == []
    assert config["vys.signal_message_receive_max_posted"] == 8000


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_every_key_takes_its_default_and_says_what_it_is(key):
    if key.default is None:
        assert key.nullable
        assert key.parse("") is None
    else:
        assert key.parse(key.default) == key.default
    assert key.doc.endswith(".")
    assert "\n" not in key.doc
    assert "|" not in key.doc
    assert set(key.planned_values) <= set(key.choices)
    assert set(key.old_values.values()) <= set(key.choices or key.old_values.values())


def test_reads_as_a_nested_mapping():
    config = Config.from_mapping({"reception": {"outputfilename": "a.ms"}})
    assert config["reception"]["outputfilename"] == "a.ms"
    assert "outputfilename" in config["reception"]
    assert dict(config["reception"])["transport"] == "udp"
    assert len(config["reception"]) == len(list(config["reception"]))
    assert list(config) == list(CATEGORIES)
    assert len(config) == len(CATEGORIES)
    assert "reception" in config
    assert "receptoin" not in config
    assert config["reception"].get("nothing", 5) == 5
    assert "reception" in repr(config["reception"])


@pytest.mark.parametrize("name", ["nothing", "reception.nothing", "nothing.transport", ""])
def test_unknown_lookup_is_a_key_error(name):
    config = Config.load()
    with pytest.raises(KeyError):
        config[name]
    with pytest.raises(KeyError):
        config.is_set(name)
    with pytest.raises(KeyError):
        config["reception"]["nothing"]


@pytest.mark.parametrize("given", ["reception.port_start", "reception.receiver_port_start"])
def test_old_and_new_names_both_answer(given):
    config = Config.load(None, [f"{given}=5000"])
    for name in ("port_start", "receiver_port_start"):
        assert config[f"reception.{name}"] == 5000
        assert config["reception"][name] == 5000
        assert config.is_set(f"reception.{name}")
    assert "receiver_port_start" not in list(config["reception"])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("reception.method", "spead2_receivers", "spead2"),
        ("transmission.method", "spead2_transmitters", "spead2"),
        ("reception.consumer", "spead2_mswriter", ["mswriter"]),
        ("reception.consumer", "null, spead2_mswriter", ["null", "mswriter"]),
    ],
)
def test_old_values_mean_the_new_ones(name, old, new):
    assert Config.load(None, [f"{name}={old}"])[name] == new


def test_later_options_win():
    config = Config.load(None, ["reception.ring_heaps=3", "reception.ring_heaps=4"])
    assert config["reception.ring_heaps"] == 4
    config = Config.load(None, ["reception.port_start=3", "reception.receiver_port_start=4"])
    assert config["reception.port_start"] == 4


def test_options_win_over_the_file(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"reception.ring_heaps": 3, "reception.max_dumps": 7}')
    config = Config.load(file, ["reception.ring_heaps=4"])
    assert config["reception.ring_heaps"] == 4
    assert config["reception.max_dumps"] == 7
    assert config.place_of("reception.ring_heaps") == "-o"
    assert config.place_of("reception.max_dumps") == f"{file}:1"
    assert config.place_of("reception.transport") == "default"


def test_does_not_change():
    config = Config.load()
    with pytest.raises(AttributeError):
        config.transport = "tcp"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        config["reception"] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        config["reception"]["transport"] = "tcp"
    config["reception.consumer"].append("null")
    assert config["reception.consumer"] == ["mswriter"]
    changed = config.with_values({"reception.transport": "tcp", "reader": {"num_chan": 4}})
    assert config["reception.transport"] == "udp"
    assert changed["reception.transport"] == "tcp"
    assert changed["reader.num_chan"] == 4


def test_with_values_of_none_and_empty_text_go_back_to_the_default():
    config = Config.load(None, ["reception.num_ports=4", "reception.ring_heaps=3"])
    assert config.with_values({"reception.ring_heaps": None})["reception.ring_heaps"] == 16
    reset = Config.load(None, ["reception.num_ports=4", "reception.num_ports="])
    assert reset["reception.num_ports"] is None
    assert not reset.is_set("reception.num_ports")
    with pytest.raises(KeyError):
        config.with_values({"reception.nothing": None})


def test_copies_and_pickles():
    config = Config.load(None, ["reception.consumer=null,mswriter"])
    unpickled = pickle.loads(pickle.dumps(config))  # noqa: S301 (our own)
    for other in (unpickled, copy.deepcopy(config)):
        assert other.dotted() == config.dotted()
        assert other.is_set("reception.consumer")


def test_all_values_dotted_and_nested():
    config = Config.load(None, ["reception.transport=tcp"])
    assert set(config.dotted()) == set(KEYS)
    assert config.nested()["reception"]["transport"] == "tcp"
    assert Config.from_mapping({"reception.transport": "tcp"}).dotted() == config.dotted()


def test_json_leaves_out_what_has_no_value_and_is_read_again(tmp_path):
    config = Config.load(None, ["reception.transport=tcp", "reception.channels=0:4"])
    file = tmp_path / "a.json"
    file.write_text(config.to_json())
    assert "reception.num_ports" not in json.loads(config.to_json())
    assert Config.load(file).dotted() == config.dotted()
    assert json.loads(config.to_json(given_only=True)) == {
        "reception.transport": "tcp",
        "reception.channels": "0:4",
    }


def test_credentials_are_hidden_where_they_would_be_seen():
    config = Config.from_mapping(
        {
            "rclone.configurl": "https://host/sesame?key=1",
            "proxy.server": "http://me:sesame@proxy:8888",
            "model.url": "https://me:sesame@host/x.zip",
        }
    )
    assert "sesame" not in config.to_json(masked=True)
    assert "sesame" not in repr(config)
    assert json.loads(config.to_json())["proxy.server"] == "http://***@proxy:8888"
    assert json.loads(config.to_json(masked=False))["rclone.configurl"].endswith("key=1")
    assert config["rclone.configurl"] == "https://host/sesame?key=1"
    plain = Config.from_mapping({"proxy.server": "proxy:8888"})
    assert json.loads(plain.to_json())["proxy.server"] == "proxy:8888"
    no_scheme = Config.from_mapping({"proxy.server": "me:sesame@proxy:8888"})
    assert json.loads(no_scheme.to_json())["proxy.server"] == "***@proxy:8888"
    presigned = Config.from_mapping({"model.url": "https://u:p@host/a.zip?token=hush"})
    assert json.loads(presigned.to_json())["model.url"] == "https://***@host/a.zip?***"
    assert "hush" not in repr(presigned)


@pytest.mark.parametrize(
    "option", ["rclone.configurl:https://h/sesame", "rclone.configurl=https://h/sesame\x07"]
)
def test_error_messages_hide_credentials(option):
    with pytest.raises(ConfigError) as caught:
        Config.load(None, [option])
    assert "sesame" not in str(caught.value)
    assert "rclone.configurl" in str(caught.value)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("reception.ring_heap=1", ["unknown key", "did you mean reception.ring_heaps?", "-o"]),
        ("ring_heaps=1", ["did you mean reception.ring_heaps?"]),
        ("recption.transport=udp", ["did you mean reception.transport?"]),
        ("reception.reciever_port_start=1", ["did you mean reception.receiver_port_start?"]),
        ("qqqq=1", ["unknown key qqqq", "categories are reception"]),
        ("reception=1", ["category", "reception.method"]),
        ("payload=1", ["category", "payload.method"]),
        ("reception.transport", ["key=value"]),
        ("=5", ["key=value"]),
        ("", ["key=value"]),
        ("reception.ring_heaps=0", ["'0'", "reception.ring_heaps", "1 or more"]),
        ("reception.ring_heaps=1.5", ["a whole number"]),
        ("reception.ring_heaps=", ["a whole number"]),
        ("reception.ring_heaps=" + "9" * 5000, ["a whole number"]),
        ("reception.ring_heaps=1_000", ["a whole number"]),
        ("reception.port_start=65536", ["0 to 65535"]),
        ("reception.transport=UDP", ["udp, tcp, ibverbs, inproc"]),
        ("reception.backpressure=maybe", ["true, false, yes, no, 1, 0"]),
        ("reception.dump_timeout=nan", ["a number of s"]),
        ("reception.dump_timeout=inf", ["a number of s"]),
        ("reception.dump_timeout=1e999", ["a number of s"]),
        ("reception.dump_timeout=-1", ["0 or more"]),
        ("reception.dump_timeout=1_0", ["a number of s"]),
        ("reception.buffer_size=8 MB/min", ["KiB"]),
        ("reception.buffer_size=0.3 KiB", ["a whole number of bytes"]),
        (f"reception.buffer_size=1.{'0' * 30}1 kB", ["a whole number of bytes"]),
        (f"transmission.rate={'9' * 297}TB", ["a number of bytes/s"]),
        ("reception.outputfilename=", ["text"]),
        ("reception.outputfilename=a\x00b", ["text on one line"]),
        ("reception.outputfilename=\udcff", ["text on one line"]),
        ("reception.channels=4", ["start:count"]),
        ("reception.channels=4:0", ["start:count"]),
        ("reception.sources=10.0.0.0/33", ["'10.0.0.0/33'", "an address, a network such as"]),
        ("reception.sources=10.0.0.1:5000", ["an address, a network such as"]),
        ("reception.sources=127.0.0.1,239.1.2.3", ["'239.1.2.3'", "no sender has a group's"]),
        ("reception.sources=ff15::/16", ["no sender has a group's"]),
        ("reception.sources=corr elator", ["a host name"]),
        ("reception.connect_timeout=-1", ["0 or more"]),
        ("reader.num_repeats=0", ["reader.num_repeats", "1 or more"]),
        ("reader.num_repeats=-3", ["reader.num_repeats", "1 or more"]),
        ("transmission.endpoints=host", ["host:port"]),
        ("transmission.endpoints=host:5-4", ["ports are from 1 to 65535"]),
        ("transmission.endpoints=host:65530-65536", ["ports are from 1 to 65535"]),
        ('transmission.endpoints=["a:1", b]', ["a list"]),
        ("model.sha256=abc", ["64 hexadecimal digits"]),
        ("consumer.command='unclosed", ["a shell"]),
    ],
)
def test_a_wrong_option_is_one_line_with_key_value_and_what_is_accepted(option, words):
    with pytest.raises(ConfigError) as caught:
        Config.load(None, [option])
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    assert text.startswith("-o")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("mapping", "word"),
    [
        ({"reception": {"ring_heaps": None}}, "null"),
        ({"reception": {"ring_heaps": True}}, "a whole number"),
        ({"reception": {"ring_heaps": [1]}}, "a whole number"),
        ({"reception": {"ring_heaps": {"a": 1}}}, "unknown key reception.ring_heaps.a"),
        ({"reception": {"ring_heaps": {}}}, "a whole number"),
        ({"reception": {"backpressure": 2}}, "true, false"),
        ({"reception": {"backpressure": 1.0}}, "true, false"),
        ({"reception": {"transport": ["udp"]}}, "udp, tcp"),
        ({"reception": {"outputfilename": True}}, "text"),
        ({"reception": {"dump_timeout": float("nan")}}, "a number of s"),
        ({"reception": {"dump_timeout": 10**400}}, "a number of s"),
        ({"proxy": {"noproxy": [["a"]]}}, "a list"),
        ({"proxy": {"noproxy": [None]}}, "a list"),
        ({"proxy": {"noproxy": 5}}, "a list"),
        ({"proxy": {"noproxy": {"a": 1}}}, "unknown key proxy.noproxy.a"),
        ({"reception": {"port_start": 1, "receiver_port_start": 1}}, "given twice"),
        ({"reception": {"port_start": 1}, "reception.port_start": 1}, "given twice"),
        ({"reception": 5}, "category"),
        ({"nothing": {}}, "unknown key nothing"),
        ({5: 6}, "unknown key 5"),
    ],
)
def test_wrong_mappings(mapping, word):
    with pytest.raises(ConfigError, match=word) as caught:
        Config.from_mapping(mapping, "values")
    assert str(caught.value).startswith("values: ")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("reception.overwrite", "YES", True),
        ("reception.overwrite", "No", False),
        ("reception.overwrite", 1, True),
        ("reception.overwrite", "0", False),
        ("reception.ring_heaps", " 16 ", 16),
        ("reception.ring_heaps", 16.0, 16),
        ("reception.ring_heaps", "+010", 10),
        ("transmission.scan_id", str(2**64 - 1), 2**64 - 1),
        ("reception.buffer_size", "8 MiB", 8 * 2**20),
        ("reception.buffer_size", "8mib", 8 * 2**20),
        ("reception.buffer_size", "1.5KiB", 1536),
        ("reception.buffer_size", "2 kB", 2000),
        ("reception.buffer_memory", "3 GB", 3 * 10**9),
        ("reception.buffer_memory", "2GiB", 2**31),
        ("reception.buffer_memory", "", None),
        ("transmission.rate", "1 GiB/s", float(2**30)),
        ("transmission.rate", "1.073741824e+09", float(2**30)),
        ("transmission.rate", "147500", 147500.0),
        ("transmission.time_interval", "-1", -1.0),
        ("model.name", "010", "010"),
        ("model.name", 10, "10"),
        ("proxy.noproxy", {}, []),
        ("proxy.noproxy", "", []),
        ("proxy.noproxy", [""], []),
        ("proxy.noproxy", "a, b,,c\nd", ["a", "b", "c", "d"]),
        ("proxy.noproxy", '["a,b"]', ["a,b"]),
        ("transmission.endpoints", ["[::1]:41000-41003", "h:5"], ["[::1]:41000-41003", "h:5"]),
        ("transmission.endpoints", "[::1]:5,[::2]:6", ["[::1]:5", "[::2]:6"]),
        ("consumer.command", "cp -r {path} '/my data'", ["cp", "-r", "{path}", "/my data"]),
        ("reception.channels", "4:12", "4:12"),
        ("reception.datamodel", "", None),
    ],
)
def test_values_get_their_type_from_the_key(name, value, expected):
    got = Config.from_mapping({name: value})[name]
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["reception.process_index=2", "reception.process_count=2"], "accepted: 0 to 1"),
        (["reception.transport=tcp", "reception.bind_hostname=239.1.2.3"], "multicast"),
        (["reception.transport=tcp", "reception.bind_hostname=ff15::1"], "multicast"),
        (["reception.backpressure=true"], "reception.transport tcp"),
        (["reception.port_start=65535", "reception.num_ports=2"], "up to 65534"),
        (["transmission.transport=tcp", "transmission.target_host=239.1.2.3"], "multicast"),
        (["transmission.transport=tcp", "transmission.endpoints=239.1.2.3:5"], "multicast"),
        (["transmission.max_packet_size=65536"], "up to 65507"),
        (["reception.sources="], "reception.sources is empty; accepted: any, or first, or"),
        (["reception.sources=first,10.0.0.1"], "reception.sources first,10.0.0.1; accepted"),
        (["reception.sources=any,any"], "reception.sources any,any; accepted"),
        (["reception.sources=10.0.0.1", "reception.transport=ibverbs"], "accepted: any"),
        (["reception.sources=first", "reception.transport=ibverbs"], "accepted: any"),
    ],
)
def test_combinations_that_cannot_work(options, word):
    with pytest.raises(ConfigError, match=word) as caught:
        Config.load(None, options)
    assert str(caught.value).startswith("-o: ")


def test_with_values_checks_combinations_too():
    config = Config.load(None, ["reception.bind_hostname=239.1.2.3"])
    with pytest.raises(ConfigError, match="multicast"):
        config.with_values({"reception.transport": "tcp"})


@pytest.mark.parametrize(
    ("option", "prefix"),
    [
        ("reception.method=vys", "reception"),
        ("reception.transport=inproc", "reception"),
        ("transmission.method=vys", "transmission"),
        ("transmission.transport=inproc", "transmission.transport"),
        ("reception.plasma_path=/x", "reception"),
        ("vys.verify=twice", "vys"),
    ],
)
def test_what_is_planned_is_refused_by_those_who_would_act_on_it(option, prefix):
    config = Config.load(None, [option])
    config.require_available(["reader", "receptio"])
    with pytest.raises(ConfigError, match="not available in this version") as caught:
        config.require_available(["reader", prefix])
    assert option.partition("=")[0] in str(caught.value)


def test_planned_keys_at_their_defaults_are_no_matter():
    config = Config.load(None, ["monitor.port=0", "reception.method=spead2_receivers"])
    config.require_available(CATEGORIES)
    Config.load().require_available(CATEGORIES)


def test_derived_values():
    config = Config.load()
    with pytest.raises(ConfigError, match=r"reception\.datamodel is missing"):
        config.datamodel()
    assert config.with_values({"reception.datamodel": "a.ms"}).datamodel() == Path("a.ms")
    assert config.max_packet_size_bytes() == 1472
    tcp = config.with_values({"transmission.transport": "tcp"})
    assert tcp.max_packet_size_bytes() == 65536
    given = tcp.with_values({"transmission.max_packet_size": 9000})
    assert given.max_packet_size_bytes() == 9000
    assert config.dump_timeout_s(10.0) == 30.0
    assert config.dump_timeout_s(0.1) == 1.0
    assert config.with_values({"reception.dump_timeout": 0.25}).dump_timeout_s(10.0) == 0.25
    assert config.buffer_memory_bytes() > 2**20
    assert config.with_values({"reception.buffer_memory": "1 GiB"}).buffer_memory_bytes() == 2**30
    assert config.channel_span() is None
    assert config.with_values({"reception.channels": "4:12"}).channel_span() == (4, 12)
    assert config.endpoints() == []
    ends = config.with_values({"transmission.endpoints": "a:5-6,[fe80::1%eth0]:7"})
    assert ends.endpoints() == [("a", 5), ("a", 6), ("fe80::1%eth0", 7)]


@pytest.mark.parametrize("text", ["[::g]:5", "[1.2.3.4]:5", "::1:5", "a b:5", "a:5-", "a:0"])
def test_endpoints_that_are_none(text):
    with pytest.raises(ConfigError, match=r"transmission\.endpoints"):
        Config.from_mapping({"transmission": {"endpoints": [text]}})


def test_every_key_of_the_charts_sample_is_known():
    sample: dict[str, Any] = {
        "model.pull": True,
        "model.name": "sim-vis.ms",
        "transmit.model": True,
        "reception.outputfilename": "output.ms",
        "transmission.channels_per_stream": 4,
        "transmission.rate": 147500,
        "payload.method": "icd",
        "reader.num_timestamps": 0,
        "reader.start_chan": 0,
        "reader.num_chan": 0,
        "reader.num_repeats": 1,
        "results.push": False,
    }
    assert Config.from_mapping(sample)["transmission.rate"] == 147500.0


def test_keys_say_what_they_accept_in_words():
    ttl = find_key("transmission.ttl")
    assert ttl is not None
    assert ttl.kind is Kind.INTEGER
    assert ttl.accepted == "a whole number from 0 to 255"


def test_imports_no_more_than_help_needs():
    code = (
        "import sys, receive.command.cli; heavy = {'numpy', 'casacore', 'numba', 'astropy', "
        "'spead2', 'yaml', 'tqdm', 'scipy'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
