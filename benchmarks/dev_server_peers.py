"""What runs inside a measured server of dev_server.py: one route that checks a small JSON body and inserts one row.

    dev_server_peers.py ours|uvicorn DATABASE PORT          until SIGTERM

Nothing is imported here that the servers do not need themselves: the time until the port is open is measured.
"""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECRET = "benchmark-secret"
TABLE = "CREATE TABLE IF NOT EXISTS pushed (id INTEGER PRIMARY KEY, job TEXT, type TEXT, data TEXT)"
INSERT = "INSERT INTO pushed (job, type, data) VALUES (?, ?, ?)"


def main() -> None:
    """By the first argument."""
    kind, database, port = sys.argv[1:]
    {"ours": serve_ours, "uvicorn": serve_uvicorn}[kind](database, int(port))


def serve_ours(database: str, port: int) -> None:
    """The dev server with the one route."""
    import signal
    import time
    from pathlib import Path

    from seekapi._devserver.exchange import Answer, Incoming, Refusal, Route
    from seekapi._devserver.platform import Options, Platform
    from seekapi._devserver.serve import Server as DevServer
    from seekapi._devserver.store import Store

    folder = Path(database).with_suffix("")
    folder.mkdir(exist_ok=True)

    def push(platform: Platform, request: Incoming, tx: Any) -> Answer:
        fields = request.json()
        if not (isinstance(fields, dict) and isinstance(fields.get("type"), str) and "data" in fields):
            raise Refusal(400, "INVALID_REQUEST", "type and data are needed")
        tx.execute(INSERT, (request.params["job_id"], fields["type"], json.dumps(fields["data"])))
        return Answer.json({"ok": True})

    store = Store(folder)
    store.submit(lambda tx: tx.execute(TABLE)).result()
    platform = Platform(
        store, Options(data_dir=folder), secret=SECRET, api_key=SECRET * 2, now=time.time, clock=time.monotonic
    )
    route = Route("POST", "/v1/internal/jobs/{job_id}/push", push, writes=True, body="json", auth="secret")
    server = DevServer(platform, port=port, served=[route])
    server.listen()
    signal.signal(signal.SIGTERM, lambda number, frame: server.stop())
    server.run()
    store.close()


def serve_uvicorn(database: str, port: int) -> None:
    """The same with uvicorn and starlette, committing in the handler: for one insert no thread would be faster."""
    import sqlite3

    import uvicorn  # type: ignore[import-not-found,unused-ignore]
    from starlette.applications import Starlette  # type: ignore[import-not-found,unused-ignore]
    from starlette.responses import JSONResponse  # type: ignore[import-not-found,unused-ignore]
    from starlette.routing import Route  # type: ignore[import-not-found,unused-ignore]

    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(TABLE)

    async def push(request: Any) -> Any:
        if request.headers.get("x-internal-secret") != SECRET:
            return JSONResponse({"ok": False}, 401)
        fields = await request.json()
        if not (isinstance(fields, dict) and isinstance(fields.get("type"), str) and "data" in fields):
            return JSONResponse({"ok": False}, 400)
        connection.execute(INSERT, (request.path_params["job_id"], fields["type"], json.dumps(fields["data"])))
        return JSONResponse({"ok": True})

    app = Starlette(routes=[Route("/v1/internal/jobs/{job_id}/push", push, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
