"""``GET /status``: who may look at the status page, and how it is made without holding up a message."""

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from adapter.service.outcomes import Refusal
from adapter.service.serving import Service, permitted
from adapter.service.settings import Settings
from adapter.service.status_figures import Desk
from adapter.service.status_page import headers, status_page


def add_status(api: FastAPI, service: Service, settings: Settings) -> None:
    """Add the address, where the service counts what it does."""
    desk = Desk.of(service, settings)
    if desk is None:
        return

    @api.get("/status", operation_id="status", response_class=HTMLResponse)
    async def status(request: Request) -> Response:
        """Show how the service stands: throughput, deliveries, answers, verdicts, and what nothing reads."""
        is_admin = "admin" in request.state.scopes
        await permitted(service, request, "status", "admin" if is_admin else "read")
        if request.state.tenant and not is_admin:
            raise Refusal.of(403, "scope", "these figures are of all tenants: the scope admin is needed")
        try:
            figures = await anyio.to_thread.run_sync(desk.figures)
        except SQLAlchemyError:
            # Its text may quote what was asked.
            raise Refusal.of(503, "store-unavailable", "the database cannot be read") from None
        return HTMLResponse(status_page(figures), headers=headers())
