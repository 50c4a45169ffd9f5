"""HEAD and OPTIONS, which every address answers: HEAD as GET without its body, OPTIONS with what can be asked."""

from collections.abc import Iterable

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def allowed(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """Give the methods of an address, as the header Allow has them; empty where nothing is there."""
    matching = [route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE]
    # The first is the most particular one; what a wider one would take is not said of this address.
    found = {method for route in matching if route.path == matching[0].path for method in route.methods or ()}
    if not found:
        return ""
    return ", ".join(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))


class Methods:
    """The layer that answers them."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS, make a GET of HEAD, and hand on all else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and (methods := allowed(self._routes, scope)):
            scope["state"]["operation"] = "options"
            await Response(status_code=204, headers={"Allow": methods})(scope, receive, send)
            return
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def headers_only(message: Message) -> None:
            if message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, headers_only)
