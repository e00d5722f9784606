from __future__ import annotations

import os
from pathlib import Path

import pytest

from receive.command.errors import ConfigError
from receive.config import Config
from receive.config.keys import KEYS

EXPECTED = {
    "reception.transport": "tcp",
    "reception.ring_heaps": 8,
    "reception.overwrite": True,
    "transmission.rate": 1.5e6,
    "transmission.endpoints": ["a:1-2", "b:3"],
    "model.name": "010",
}
INI = """\
# a comment
[reception]
transport = tcp
ring_heaps: 8
; another
overwrite = yes

[transmission]
rate=1.5e6
endpoints =
    a:1-2,
    b:3
[model]
name = 010
"""
INI_DOTTED = """\
reception.transport = tcp
reception.ring_heaps = 8
[transmission]
rate = 1500000
endpoints = a:1-2, b:3
reception.overwrite = TRUE
[other]
model.name = 010
"""
JSON = """\
{
  "reception": {"transport": "tcp", "ring_heaps": "8"},
  "reception.overwrite": 1,
  "transmission": {"rate": 1500000, "endpoints": ["a:1-2", "b:3"]},
  "model.name": "010"
}
"""
YAML = """\
reception: {transport: tcp, overwrite: Yes}
reception.ring_heaps: '8'
transmission:
  rate: 1.5e6
  endpoints: [a:1-2, b:3]
model:
  name: 010
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ini", INI),
        ("a.cfg", INI),
        ("a.conf", INI),
        ("ini", INI),
        ("a.INI", INI_DOTTED),
        ("dotted", INI_DOTTED),
        ("a.json", JSON),
        ("json", JSON),
        ("a.yaml", YAML),
        ("a.yml", YAML),
        ("yaml", YAML),
        ("json.yaml", JSON),
        ("bom.json", "\ufeff" + JSON),
        ("crlf.ini", INI.replace("\n", "\r\n")),
    ],
)
def test_all_formats_say_the_same(tmp_path, name, text):
    file = tmp_path / name
    file.write_bytes(text.encode())
    config = Config.load(file)
    assert {key: config[key] for key in EXPECTED} == EXPECTED
    assert [key for key in KEYS if config.is_set(key)] == [key for key in KEYS if key in EXPECTED]


@pytest.mark.parametrize("name", ["a.ini", "a.json", "a.yaml", "a"])
@pytest.mark.parametrize("text", ["", "\n \n", "# nothing\n"])
def test_an_empty_file_gives_the_defaults(tmp_path, name, text):
    if name == "a.json" and "#" in text:
        text = "{}"
    file = tmp_path / name
    file.write_text(text)
    assert Config.load(file).dotted() == Config.load().dotted()


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        # INI
        ("a.ini", "[reception]\ntransport tcp\n", 2, "not INI"),
        ("a.ini", "[reception\ntransport = tcp\n", 1, "not INI"),
        ("a.ini", "[reception]\n= tcp\n", 2, "not INI"),
        ("a.ini", "[reception]\ntransport = tcp\ntransport = udp\n", 3, "given twice"),
        ("a.ini", "[reception]\nport_start=1\n[a]\nreception.receiver_port_start=2", 4, "twice"),
        ("a.ini", "[reception]\n[reader]\n[reception]\n", 3, "section"),
        ("a.ini", "[reception]\n\nring_heap = 4\n", 3, "did you mean reception.ring_heaps"),
        ("a.ini", "[model]\nname = a.ms # mine\n", 2, "may begin a comment or be a part of"),
        ("a.ini", "[model]\nname = ; none\n", 2, "; after a blank may begin a comment"),
        ("a.ini", "[transmission]\nendpoints =\n a:1, # a\n b:2\n", 2, "may begin a comment"),
        ("a.ini", "[consumer]\ncommand = sh -c 'a ; b' ; c\n", 2, "may begin a comment"),
        ("a.ini", "ring_heaps = 4\n", 1, "did you mean reception.ring_heaps"),
        # JSON
        ("a.json", '{"reception": {"ring_heaps": 4,}}', 1, "not JSON"),
        ("a.json", '{"reception":\n {"ring_heaps": }}', 2, "not JSON"),
        ("a.json", '{"reception":\n {"ring_heap": 4}}', 2, "did you mean reception.ring_heaps"),
        ("a.json", '{"reception.max_dumps": 1,\n "reception.max_dumps": 2}', 2, "twice"),
        ("a.json", '{"reader": {"num_chan": 1},\n "reader": {"start_chan": 2}}', 2, "twice"),
        ("a.json", '{"model": {"name": "\\"{",\n "pull": 1, "name": ""}, "\\x"', 2, "twice"),
        ("a.json", '{"reader.num_chan": 1,\n "reader": {"num_chan": 2}}', 2, "twice"),
        ("a.json", '{"reader": {"num_chan": 1},\n "reader.num_chan": 2}', 2, "twice"),
        ("a.json", '{"reception":\n {"dump_timeout": NaN}}', None, "NaN"),
        ("a.json", '{"reception":\n {"dump_timeout": 1e999}}', 2, "a number of s"),
        ("a.json", '{"reception":\n {"ring_heaps": null}}', 2, "null"),
        ("a.json", '{"reception.ring_heaps": ' + "9" * 5000 + "}", None, "not JSON"),
        ("a.json", '{"a\\nb": 1, "a\\nb": 1}', 1, "twice"),
        ("a.json", '{"a\\nb\\ud800": 1}', 1, "unknown key"),
        ("a.json", "[1, 2]", 1, "expected an object"),
        ("a.json", "5", 1, "expected an object"),
        ("a.json", "[" * 100_000, None, "nested too deeply"),
        ("a.json", '{"a":' * 9 + "1" + "}" * 9, 1, "unknown key"),
        ("a", '{"reception": ', 1, "not JSON"),
        # YAML
        ("a.yaml", "reception:\n  transport: tcp\n bad", 3, "not YAML"),
        ("a.yaml", "reception: [\n", 2, "not YAML"),
        ("a.yaml", "reception:\n\ttransport: tcp\n", 2, "blanks, not with tabs"),
        ("a.yaml", "reader.num_chan: 1\n---\nreader.num_chan: 2\n", 2, "of several (---)"),
        ("a.yaml", "reader:\n  <<: *none\n", 2, "undefined alias"),
        ("a.yaml", "reader:\n  <<: 5\n", 2, "merges maps"),
        ("a.yaml", "reader: &a\n  <<: *a\n", 1, "merged into itself"),
        ("a.yaml", "reader:\n  '<<': {num_chan: 2}\n", 2, "unknown key reader.<<"),
        ("a.yaml", "x-a: &a {num_chans: 2}\nreader:\n  <<: *a\n", 1, "unknown key"),
        ("a.yaml", "base: &a {num_chan: 2}\nreader: *a\n", 1, "unknown key base"),
        ("a.yaml", "reception:\n  max_dumps: 1\n  max_dumps: 2\n", 3, "twice"),
        ("a.yaml", "reader:\n  num_chan: 1\nreader:\n  start_chan: 2\n", 3, "twice"),
        ("a.yaml", "reader:\n  num_chan: 1\nreader.num_chan: 2\n", 3, "twice"),
        ("a.yaml", "reception:\n  ring_heaps: null\n", 2, "null"),
        ("a.yaml", "reception:\n  datamodel:\n", 2, "null"),
        ("a.yaml", "reception:\n  datamodel: ~\n", 2, "null"),
        ("a.yaml", "reception:\n  dump_timeout: .nan\n", 2, "a number of s"),
        ("a.yaml", "- reception\n", 1, "expected a map"),
        ("a.yaml", "reception\n", 1, "expected a map"),
        ("a.yaml", "a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a.yaml", "model:\n  name: !!python/object/apply:os.getcwd []\n", 2, "tag"),
        ("a.yaml", "model: !mine\n  name: x\n", 1, "tag"),
        ("a.yaml", "model:\n  name: [[x]]\n", 2, "scalar"),
        ("a.yaml", "? [a, b]\n: 5\n", 1, "a key must be text"),
        ("a.yaml", "a: &a\n  b: *a\n", 2, "scalar"),
        ("a.yaml", "a\x01: 5\n", None, "not YAML"),
        ("a.yaml", "[" * 100_000, None, "nested too deeply"),
        ("a.yaml", "reception: *missing\n", 1, "not YAML"),
        ("a.yaml", "reception: tcp\n", 1, "category"),
    ],
)
def test_a_malformed_file_is_one_line_with_its_place(tmp_path, name, text, line, words):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}:{line}: " if line else f"{file}: ")
    assert "\n" not in message
    assert words in message


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: there is no such"):
        Config.load(tmp_path / "nothing.yaml")


def test_a_directory(tmp_path):
    with pytest.raises(ConfigError, match="is a directory"):
        Config.load(tmp_path)


def test_not_utf8(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(b"reception:\n  outputfilename: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:2: is not UTF-8"):
        Config.load(file)


def test_a_path_through_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        Config.load(tmp_path / "file" / "a.ini")


def test_a_path_that_cannot_be():
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.load(Path("a\0b"))


def test_a_file_that_is_no_configuration(tmp_path):
    file = tmp_path / "a.tar"
    with file.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        Config.load(file)


def test_a_pipe(tmp_path):
    pipe, end = os.pipe()
    os.write(end, JSON.encode())
    os.close(end)
    assert Config.load(Path(f"/dev/fd/{pipe}"))["reception.ring_heaps"] == 8
    os.close(pipe)


def test_yaml_errors_do_not_show_the_line(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("rclone:\n  configurl: 'https://host/sesame\n")
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    assert "sesame" not in str(caught.value)


def test_aliases_are_read(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("reception.channels: &all 0:4\nreader: {num_chan: &n 4, start_chan: *n}\n")
    config = Config.load(file)
    assert config["reception.channels"] == "0:4"
    assert config["reader.start_chan"] == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.ini", "a.json", "a.yaml", "a"])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path, name, encoding):
    text = {".ini": INI, ".json": JSON, ".yaml": YAML, "": YAML}[Path(name).suffix]
    (tmp_path / name).write_bytes(text.encode(encoding))
    config = Config.load(tmp_path / name)
    assert {key: config[key] for key in EXPECTED} == EXPECTED


@pytest.mark.parametrize("mark", [" ; ", "  # ", "\t;", " #"])
@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("reception.ring_heaps = 8", 8),
        ("reception.overwrite: yes", True),
        ("reception.transport=tcp", "tcp"),
        ("transmission.rate = 1.5e6", 1.5e6),
        ("reception.buffer_size = 4 MiB", 4 << 20),
    ],
)
def test_a_comment_behind_what_cannot_hold_one_is_a_comment(tmp_path, line, value, mark):
    file = tmp_path / "a.ini"
    file.write_text(f"[reader] # the reader\n{line}{mark}say; why # so\n")
    assert Config.load(file)[line.replace(":", "=").split("=")[0].strip()] == value


def test_marks_of_comments_without_a_blank_or_in_quotes_are_text(tmp_path):
    file = tmp_path / "a.ini"
    file.write_text(
        "[model]\nurl = https://host/a;b#c\n[consumer]\ncommand = sh -c 'a ; b' \"c # d\"\n"
    )
    config = Config.load(file)
    assert config["model.url"] == "https://host/a;b#c"
    assert config["consumer.command"] == ["sh", "-c", "a ; b", "c # d"]


def test_maps_are_merged_as_yaml_has_it(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "x-first: &first {num_chan: 1, start_chan: 1}\n"
        "x-second: &second {num_chan: 2, start_chan: 2, num_repeats: 2}\n"
        "x-third: &third\n  <<: *second\n  num_timestamps: 3\n"
        "reader:\n  num_chan: 5\n  <<: [*first, *third]\n"
        "transmission: {sender_threads: &many 4}\n"
        "reception: {receiver_threads: *many}\n"
    )
    config = Config.load(file)
    assert dict(config["reader"]) | {
        "num_chan": 5,
        "start_chan": 1,
        "num_repeats": 2,
        "num_timestamps": 3,
    } == dict(config["reader"])
    assert config["reception.receiver_threads"] == 4


def test_merges_of_merges_take_no_time(tmp_path):
    levels = ["x-0: &a0 {num_chan: 1}"] + [
        f"x-{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 20)}]}}" for n in range(1, 40)
    ]
    file = tmp_path / "a.yaml"
    file.write_text("\n".join([*levels, "reader: {<<: *a39}"]))
    assert Config.load(file)["reader.num_chan"] == 1
