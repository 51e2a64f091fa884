"""The runner of sandbox servers: a free port, a clean stop, a clear word when the port is taken."""

import httpx
import pytest
from opensrp_dhis2_sandbox.server import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from opensrp_dhis2.errors import ConfigurationError


async def _hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", _hello)])


def test_two_servers_run_side_by_side_and_stop_with_their_blocks() -> None:
    with running(APP) as first:
        with running(APP) as second:
            assert (first != second, httpx.get(first).text, httpx.get(second).text) == (True, "hello", "hello")
        with pytest.raises(httpx.ConnectError):
            httpx.get(second)
        assert httpx.get(first).text == "hello"


def test_a_taken_port_is_named_with_the_remedy() -> None:
    with (
        running(APP) as url,
        pytest.raises(ConfigurationError, match="--port"),
        running(APP, int(url.rpartition(":")[2])),
    ):
        pass
