"""Snapshots go back and forth between raftstore and etcd, with etcd's own tools and ours."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benches.ports import unused_ports
from raftstore.cli import main
from raftstore.storage import snapshot_file
from raftstore.storage.etcd_database import Summary
from tests.gateway.etcdctl import ETCDCTL, etcdctl, reduced
from tests.gateway.real import ETCD, WITHOUT_ETCD, real_etcd
from tests.gateway.served import Served, post, start

needs_etcdctl = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
needs_etcd = pytest.mark.skipif(ETCD is None or ETCDCTL is None, reason=WITHOUT_ETCD)

FILL: list[tuple[str, str]] = [
    ("lease grant 6000", ""),
    ("put a 1", ""),
    ("put b 1", ""),
    ("put a 2", ""),
    ("txn", "\n\nput t/2 x\nput t/1 y\ndel b\n\n\n"),
    ("put c 1", ""),
    ("del c", ""),
    ("compaction 6", ""),
    ("put a 3", ""),
    ("put --lease=LEASE kept v", ""),
    ('put empty ""', ""),
    ("del t/1", ""),
    ("put a 4", ""),
]
LOOK: list[tuple[str, str]] = [
    ('get "" --prefix -w json', ""),
    ('get "" --prefix --rev=8 -w json', ""),
    ('get "" --prefix --rev=6 -w json', ""),
    ("get a --rev=5", ""),
    ("lease timetolive LEASE --keys", ""),
    ("lease list", ""),
    ("put a 5 -w json", ""),
    ("get a -w json", ""),
]
FORMS = ("simple", "json", "fields", "table")


def fill(url: str) -> str:
    """Write the same to any cluster; the lease's id."""
    granted = etcdctl(url, FILL[0][0])
    found = re.match(r"lease ([0-9a-f]+) granted", granted)
    assert found, granted
    for command, typed in FILL[1:]:
        printed = etcdctl(url, command.replace("LEASE", found[1]), typed)
        assert printed.endswith("exit status 0"), printed
    return found[1]


def look(url: str, lease: str) -> list[str]:
    """What clients see of it."""
    number = str(int(lease, 16))
    seen = []
    for command, typed in LOOK:
        printed = etcdctl(url, command.replace("LEASE", lease), typed)
        seen.append(reduced(printed.replace(lease, "LEASE").replace(number, "LEASE")))
    return seen


def command(*arguments: object, code: int = 0) -> str:
    """What `raftstore snapshot` prints."""
    done = CliRunner().invoke(main, ["snapshot", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def stop(served: Served) -> None:
    served.process.kill()
    served.process.wait()
    assert served.process.stdout is not None
    served.process.stdout.close()


class Saved:
    """A snapshot of a filled cluster, and what its clients saw just after."""

    def __init__(self, file: Path, lease: str, seen: list[str], printed: str) -> None:
        self.file = file
        self.lease = lease
        self.seen = seen
        self.printed = printed


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    directory = tmp_path_factory.mktemp("ours")
    served = start("--port", "0")
    try:
        lease = fill(served.url)
        file = directory / "ours.db"
        printed = etcdctl(served.urls[1], f"snapshot save {file}")
        command("save", directory / "ours-by-us.db", "--endpoint", served.urls[1])
        yield Saved(file, lease, look(served.url, lease), printed)
    finally:
        stop(served)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    if ETCD is None:
        pytest.skip(WITHOUT_ETCD)
    directory = tmp_path_factory.mktemp("theirs")
    with real_etcd(directory) as etcd:
        lease = fill(etcd.url)
        file = directory / "theirs.db"
        printed = etcdctl(etcd.url, f"snapshot save {file}")
        command("save", directory / "theirs-by-us.db", "--endpoint", etcd.url)
        yield Saved(file, lease, look(etcd.url, lease), printed)


# -- etcd's tools on our file ----------------------------------------------------------------------


@needs_etcd
def test_saving_prints_what_it_prints_with_a_real_etcd(ours: Saved, theirs: Saved) -> None:
    printed = [saved.printed.replace(str(saved.file), "FILE") for saved in (ours, theirs)]
    assert printed[0] == printed[1] == "Snapshot saved at FILE\nexit status 0"
    assert ours.seen == theirs.seen


@pytest.mark.covers("ST-20")
@needs_etcd
def test_the_status_of_our_file_differs_only_in_hash_count_and_size(
    ours: Saved, theirs: Saved
) -> None:
    for form in FORMS:
        texts = []
        for saved in (ours, theirs):
            printed = etcdctl("none", f"snapshot status {saved.file} -w {form}")
            printed = re.sub(r'("hash":|"Hash" : )\d+', r"\1HASH", printed)
            printed = re.sub(r'("totalKey":|"Keys" : )\d+', r"\1KEYS", printed)
            printed = re.sub(r'("totalSize":|"Size" : )\d+', r"\1SIZE", printed)
            printed = re.sub(r"^[0-9a-f]+(, \d+, )\d+, \d+ kB", r"HASH\1KEYS, SIZE", printed)
            texts.append(re.sub(r"\| +[0-9a-f]+ (\| +\d+ \|).*", r"HASH \1 KEYS SIZE", printed))
        # The hash may be a digit shorter, and the table with it.
        assert re.sub(r"[- ]+", " ", texts[0]) == re.sub(r"[- ]+", " ", texts[1])


@needs_etcdctl
@pytest.mark.parametrize("form", FORMS)
def test_our_status_prints_what_etcdctls_does(ours: Saved, form: str) -> None:
    printed = etcdctl("none", f"snapshot status {ours.file} -w {form}")
    assert command("status", ours.file, "-w", form) == printed.removesuffix("exit status 0")


@needs_etcd
@pytest.mark.parametrize("form", FORMS)
def test_our_status_of_a_real_file_prints_what_etcdctls_does(theirs: Saved, form: str) -> None:
    printed = etcdctl("none", f"snapshot status {theirs.file} -w {form}")
    assert command("status", theirs.file, "-w", form) == printed.removesuffix("exit status 0")


@needs_etcd
def test_a_real_etcd_serves_what_was_saved_here(ours: Saved, tmp_path: Path) -> None:
    client, peer = unused_ports(2)
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    data = tmp_path / "restored"
    printed = etcdctl(
        "none",
        f"snapshot restore {ours.file} --data-dir {data} --name m "
        f"--initial-cluster m={peer_url} --initial-advertise-peer-urls {peer_url}",
    )
    assert printed.endswith("exit status 0"), printed
    assert ETCD is not None
    with (tmp_path / "log").open("wb") as log:
        options = [
            *("--name=m", f"--data-dir={data}", f"--listen-client-urls={url}"),
            *(f"--advertise-client-urls={url}", f"--listen-peer-urls={peer_url}"),
        ]
        process = subprocess.Popen([ETCD, *options], stdout=log, stderr=log)
    try:
        for _ in range(20):
            if "is healthy" in etcdctl(url, "endpoint health --dial-timeout=500ms"):
                break
        assert look(url, ours.lease) == ours.seen
    finally:
        process.kill()
        process.wait()


# -- our tools on etcd's file ----------------------------------------------------------------------


@needs_etcd
def test_a_restored_cluster_serves_what_a_real_etcd_had(theirs: Saved, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert command("restore", theirs.file, "--data-dir", data) == (
        f"Restored a cluster of 3 members to {data}\n"
    )
    served = start("--port", "0", "--data-dir", str(data))
    try:
        for url in served.urls:
            assert json.loads(etcdctl(url, "get a -w json").splitlines()[0])["count"] == 1
        assert look(served.url, theirs.lease) == theirs.seen
    finally:
        stop(served)


@needs_etcd
def test_users_of_a_real_etcd_log_in_after_a_restore(tmp_path: Path) -> None:
    file, data = tmp_path / "x.db", tmp_path / "data"
    with real_etcd(tmp_path) as etcd:
        for command_ in (
            *("user add root:secret", "role add root", "user grant-role root root"),
            *("user add ann:pw", "role add r", "role grant-permission r readwrite a"),
            *("user grant-role ann r", "put a 1", "put b 1", "auth enable"),
        ):
            assert etcdctl(etcd.url, command_).endswith("exit status 0"), command_
        command("save", file, "--endpoint", etcd.url, "--user", "root:secret")
        refused = command("save", tmp_path / "y.db", "--endpoint", etcd.url, code=1)
        assert "user name is empty" in refused
        asked = ("--user ann:pw get a", "--user ann:pw get b", "--user ann:no get a", "get a")
        answers = [etcdctl(etcd.url, command_) for command_ in asked]
    command("restore", file, "--data-dir", data, "--members", 1)
    served = start("--port", "0", "--data-dir", str(data))
    try:
        assert [etcdctl(served.url, command_) for command_ in asked] == answers
        said = command("save", tmp_path / "y.db", "--endpoint", served.url, code=1)
        assert "the member refuses: etcdserver: user name is empty" in said
        command("save", tmp_path / "y.db", "--endpoint", served.url, "--user", "root:secret")
    finally:
        stop(served)


@needs_etcdctl
def test_both_tools_save_the_same_content(ours: Saved) -> None:
    by_us = ours.file.with_name("ours-by-us.db")
    texts = [command("status", file, "--json") for file in (ours.file, by_us)]
    assert texts[0] == texts[1]
    assert by_us.read_bytes()[-32:] == hashlib.sha256(by_us.read_bytes()[:-32]).digest()


@needs_etcd
def test_we_can_save_from_a_real_etcd(theirs: Saved) -> None:
    by_us = theirs.file.with_name("theirs-by-us.db")
    assert command("status", by_us) == command("status", theirs.file)


@needs_etcdctl
def test_a_restored_member_begins_a_cluster_of_its_own(ours: Saved, tmp_path: Path) -> None:
    """One member per process; another cluster than the one that was saved."""
    data = tmp_path / "data"
    (port,) = unused_ports(1)
    cluster = ("--initial-cluster", f"m=127.0.0.1:{port}", "--initial-cluster-token", "second")
    command("restore", ours.file, "--data-dir", data, "--name", "m", *cluster)
    served = start("--port", "0", "--member", "m", "--data-dir", str(data), *cluster)
    try:
        assert look(served.url, ours.lease)[0] == ours.seen[0]
        _, status = post(served, "/v3/maintenance/status", {})
        assert status["header"]["cluster_id"] != "1"
        granted = etcdctl(served.url, "lease grant 60")
        assert "granted" in granted, "its id must not meet the one in the snapshot"
    finally:
        stop(served)


# -- what is refused -------------------------------------------------------------------------------


@needs_etcdctl
def test_a_damaged_file_is_refused_with_what_and_where(ours: Saved, tmp_path: Path) -> None:
    good = ours.file.read_bytes()
    file, data = tmp_path / "bad.db", tmp_path / "data"

    def refusal(content: bytes, *options: str) -> str:
        file.write_bytes(content)
        said = command("restore", file, "--data-dir", data, *options, code=1)
        assert not data.exists()
        return said

    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    place = len(good) - 32
    said = f"{file}: damaged at offset {place}: the SHA-256 there is not that of the {place} bytes"
    assert said in refusal(bytes(flipped))
    assert said in command("status", file, code=1)
    assert f"{file}: damaged at offset {place - 1}: a file of" in refusal(good[: place - 1])
    assert "has no hash behind it to be checked against" in refusal(good[:-32])
    assert "no sound meta page" in refusal(bytes(8192), "--skip-hash-check")
    cut = refusal(good[: place - 4096], "--skip-hash-check")
    assert f"damaged at offset {place - 4096}: the database has {place} bytes" in cut
    assert "cannot read the snapshot" in command("status", tmp_path / "none", code=1)


@needs_etcdctl
def test_a_file_without_a_hash_is_restored_on_request(ours: Saved, tmp_path: Path) -> None:
    file = tmp_path / "copied.db"
    file.write_bytes(ours.file.read_bytes()[:-32])
    data = tmp_path / "data"
    command("restore", file, "--data-dir", data, "--members", 1, "--skip-hash-check")
    assert (data / "cluster.json").exists()


@needs_etcdctl
def test_nothing_is_restored_over_something_else(ours: Saved, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    said = command("restore", ours.file, "--data-dir", tmp_path, code=1)
    assert f"{tmp_path}: not empty, and nothing is overwritten" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@needs_etcdctl
def test_a_half_restored_directory_holds_no_cluster(
    ours: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot_file, "write", fail)
    data = tmp_path / "data"
    said = command("restore", ours.file, "--data-dir", data, code=1)
    assert "No space left on device; remove what is there of it and try again" in said
    done = CliRunner().invoke(main, ["serve", "--data-dir", str(data)])
    assert "no cluster's directory" in done.output


def test_options_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for options, text in (
        (("--name", "a"), "--name and --initial-cluster go together"),
        (("--name", "a", "--initial-cluster", "a=h:1", "--members", "3"), "--members is for all"),
        (("--name", "b", "--initial-cluster", "a=h:1"), "no member 'b' in the initial cluster"),
        (("--name", "a", "--initial-cluster", "a"), "is not NAME=HOST:PORT"),
    ):
        said = command("restore", "x.db", "--data-dir", tmp_path / "d", *options, code=2)
        assert text in said


def test_saving_says_why_it_cannot(tmp_path: Path, served: Served) -> None:
    file = tmp_path / "x.db"
    (port,) = unused_ports(1)
    said = command("save", file, "--endpoint", f"127.0.0.1:{port}", code=1)
    assert f"no snapshot from 127.0.0.1:{port}: " in said
    assert "Connection refused" in said
    said = command("save", file, "--endpoint", "ftp://x", code=2)
    assert "neither HOST:PORT nor an URL" in said
    said = command("save", tmp_path / "none" / "x.db", "--endpoint", served.url, code=1)
    assert "No such file or directory" in said
    said = command("save", file, "--endpoint", served.url, "--user", "a:b", code=1)
    assert "the member refuses: " in said
    assert list(tmp_path.iterdir()) == []


def test_the_sizes_are_written_as_etcdctl_writes_them() -> None:
    from raftstore.cli.snapshot import _size  # noqa: PLC0415 - only this test looks into it

    sizes = {9: "9 B", 512: "512 B", 1500: "1.5 kB", 9949: "9.9 kB", 20480: "20 kB"}
    sizes |= {12238848: "12 MB", 999_999: "1000 kB", 2 << 30: "2.1 GB"}
    assert {size: _size(size) for size in sizes} == sizes


@pytest.mark.parametrize(
    ("value", "head"),
    [(0x1, "| HASH |"), (0x223F93C, "|  HASH   |"), (0x8580B37A, "|   HASH   |")],
)
def test_the_columns_of_a_table_are_as_wide_as_their_widest_cell(
    value: int, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from raftstore.cli.snapshot import _table  # noqa: PLC0415 - only this test looks into it

    _table(Summary(value, 123456789012, 11, 16384))
    rule, heads, _, values, last = capsys.readouterr().out.splitlines()
    assert len({len(rule), len(heads), len(values), len(last)}) == 1
    assert heads.startswith(head)


def test_files_of_the_log_are_no_snapshots(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"\xe7\x9d" * 256)
    assert "no sound meta page" in command("status", tmp_path / "log.db", code=1)
