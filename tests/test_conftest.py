"""The guards around every test hold: no network beyond this machine, no display."""

from __future__ import annotations

import os
import socket

import pytest
import requests

OUTSIDE = "192.0.2.1"  # reserved for documentation: nothing answers there


def test_dialling_out_fails_whatever_the_caller_catches() -> None:
    with (
        socket.socket() as dial,
        pytest.raises(BaseException, match=r"dials out to .*192\.0\.2\.1"),
    ):
        dial.connect((OUTSIDE, 80))


def test_a_library_s_call_fails_at_the_look_up_of_the_name() -> None:
    with pytest.raises(BaseException, match=r"dials out to .*example\.org"):
        requests.get("https://example.org", timeout=1)


def test_a_server_on_this_machine_can_be_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2], timeout=5) as dial,
    ):
        answer, _ = server.accept()
        with answer:
            dial.sendall(b"x")
            assert answer.recv(1) == b"x"


def test_plots_need_no_display() -> None:
    assert os.environ["MPLBACKEND"] == "Agg"
