"""The check of the link: what it sends and says. The times are printed, not asserted."""

import contextlib

import pytest

from edge_course.cost_models.placement import transfer_time
from edge_course.nodes import link_check
from edge_course.nodes.link import Link
from edge_course.nodes.link_check import Transfer, UnavailableError


def test_the_error_is_a_share_of_the_prediction():
    transfer = Transfer(1000, 1e6, predicted=0.1, measured=0.11)
    assert transfer.error == pytest.approx(0.1)
    assert str(transfer) == "    1,000 bytes      1 Mbit/s     100.0 ms     110.0 ms  +10.0%"


def test_each_size_goes_once_through_each_bandwidth(monkeypatch):
    monkeypatch.setattr(link_check, "SIZES", (10, 3000))
    monkeypatch.setattr(link_check, "BANDWIDTHS", (1e7, 1e8))
    changed = []
    with contextlib.closing(link_check.Acknowledger()) as server, Link(server.address) as link:
        found = list(link_check.measure(link.address, changed.append, rounds=2))
        assert link.bytes_up == 2 * 2 * (10 + 8 + 3000 + 8) and link.bytes_down == 8
    assert changed == [1e7, 1e8]
    assert [(t.num_bytes, t.bandwidth) for t in found] == [
        (10, 1e7), (3000, 1e7), (10, 1e8), (3000, 1e8)
    ]  # fmt: skip
    assert found[1].predicted == transfer_time(3009, 1e7, link_check.RTT)
    assert all(t.measured > 0 for t in found)


def test_the_emulated_link_beside_its_formula(monkeypatch, capsys):
    monkeypatch.setattr(link_check, "SIZES", (20_000,))
    monkeypatch.setattr(link_check, "BANDWIDTHS", (1e7, 1e8))
    link_check._print("Emulated link", link_check.through_link(rounds=2))
    said = capsys.readouterr().out
    assert said.count("Mbit/s") == 2 and "median error" in said
    print(said)


def test_the_kernels_emulation_beside_the_formula(monkeypatch, capsys):
    monkeypatch.setattr(link_check, "SIZES", (20_000,))
    monkeypatch.setattr(link_check, "BANDWIDTHS", (1e7, 1e8))
    try:
        link_check._print("Kernel (netem)", link_check.through_kernel(rounds=2))
    except UnavailableError as error:
        pytest.skip(f"the kernel's own emulation (netem) was not run: {error}")
    assert capsys.readouterr().out.count("Mbit/s") == 2


def test_where_it_cannot_run_it_says_why(monkeypatch, capsys):
    def unavailable():
        raise UnavailableError("netem is a part of Linux; this is another system")
        yield

    monkeypatch.setattr(link_check, "through_kernel", unavailable)
    monkeypatch.setattr(link_check, "SIZES", (10,))
    monkeypatch.setattr(link_check, "BANDWIDTHS", (1e8,))
    assert link_check.main([]) == 0
    said = capsys.readouterr().out
    assert "Kernel (netem): not run. netem is a part of Linux; this is another system" in said


@pytest.mark.parametrize(
    ("platform", "user", "tool", "words"),
    [
        ("win32", 0, "/sbin/tc", "another system"),
        ("linux", 1000, "/sbin/tc", "only root"),
        ("linux", 0, None, "ip is not installed"),
    ],
)
def test_every_reason_has_its_words(monkeypatch, platform, user, tool, words):
    monkeypatch.setattr(link_check.sys, "platform", platform)
    monkeypatch.setattr(link_check.os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(link_check.shutil, "which", lambda name: tool)
    with pytest.raises(UnavailableError, match=words):
        next(link_check.through_kernel())
