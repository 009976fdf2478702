"""One platform: what its user chose, and what every handler is handed."""

from __future__ import annotations

from datetime import timezone

from .planned_faults import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path
    from typing import Any

    from .store import Store


class Options:
    """What the user chose; the flags of `seekapi dev`.

    `charge_limit` is how many metered events a job may charge for, None for any number. Moments are shown in `zone`.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        timeout_s: float = 60.0,
        needs_token: bool = False,
        prefix: str = "",
        basic_auth: tuple[str, str] | None = None,
        strict: bool = False,
        title: str = "seekapi dev",
        version: str = "1.0",
        callback_url: str = "",
        charge_limit: int | None = None,
        zone: tzinfo = timezone.utc,
        faults: Plan | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.timeout_s = timeout_s
        self.needs_token = needs_token
        self.prefix = prefix
        self.basic_auth = basic_auth
        self.strict = strict
        self.title = title
        self.version = version
        self.callback_url = callback_url
        self.charge_limit = charge_limit
        self.zone = zone
        self.faults = faults or Plan()


class Platform:
    """What every handler is handed: the record, the choices, the clocks, the secrets, the runner's door.

    `now()` is the wall clock in seconds since the epoch, `clock()` the monotonic one. `url` is known once the port is
    open, without a slash at its end. `runner` is None for a platform alone.
    """

    def __init__(
        self,
        store: Store,
        options: Options,
        *,
        secret: str,
        api_key: str,
        now: Callable[[], float],
        clock: Callable[[], float],
        runner: Any = None,
    ) -> None:
        self.store = store
        self.options = options
        self.secret = secret
        self.api_key = api_key
        self.now = now
        self.clock = clock
        self.runner = runner
        self.url = ""
        # What was said of settings that do not fit any more: their name and value.
        self.settings_said: set[tuple[str, str]] = set()
