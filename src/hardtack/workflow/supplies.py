"""What the verbs work with, opened once: the indexes, the store, uv. The rooms are handed only the piece that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from hardtack.building.sandbox import Sandbox, find_sandbox
from hardtack.errors import UsageError
from hardtack.fetching.transfer import FetchLimits
from hardtack.indexing.client import IndexClient
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexSettings
from hardtack.indexing.uv_network import for_uv
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.system.presence import present
from hardtack.system.uv import Uv, find_uv
from hardtack.wheelhouse.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """The capabilities of one run. ``uv_settings`` and ``uv_config`` are the user's indexes in uv's words, without logins.

    ``confine`` finds the sandbox when something is to be built, once: a run that builds nothing needs none and is told nothing.
    """

    cache_dir: Path
    settings: IndexSettings
    transport: HttpTransport
    client: IndexClient
    store: Store
    uv: Uv
    uv_settings: Mapping[str, Any]
    uv_config: Path
    confine: Callable[[], Sandbox]

    @property
    def limits(self) -> FetchLimits:
        """How long a transfer may stand still, and how often it is tried."""
        return FetchLimits.within(timeout=self.settings.timeout, retries=self.settings.retries)


@contextmanager
def open_supplies(
    settings: IndexSettings,
    credentials: Credentials,
    *,
    cache_dir: Path,
    environment: Mapping[str, str],
    require_sandbox: bool = False,
    reporter: Reporter,
    stop: Cancellation,
) -> Iterator[Supplies]:
    """Open the store, the transport and uv for one run, and close what must be closed."""
    with present(cache_dir):
        yield from _opened(
            settings,
            credentials,
            cache_dir=cache_dir,
            environment=environment,
            require_sandbox=require_sandbox,
            reporter=reporter,
            stop=stop,
        )


def _opened(
    settings: IndexSettings,
    credentials: Credentials,
    *,
    cache_dir: Path,
    environment: Mapping[str, str],
    require_sandbox: bool,
    reporter: Reporter,
    stop: Cancellation,
) -> Iterator[Supplies]:
    network = for_uv(settings, credentials)
    transport = HttpTransport(settings, credentials, stop=stop)
    try:
        uv = find_uv(cache_dir, environment, network=network.environment, offline=settings.offline, redact=credentials.redact)
        config = cache_dir / "uv-settings" / f"{_digest(network.config)}.toml"
        write_bytes(config, tomli_w.dumps(dict(network.config)).encode())
        yield Supplies(
            cache_dir=cache_dir,
            settings=settings,
            transport=transport,
            client=IndexClient(transport, settings, cache_dir=cache_dir, stop=stop),
            store=Store(cache_dir / "files", reporter=reporter),
            uv=uv,
            uv_settings=network.config,
            uv_config=config,
            confine=cache(lambda: find_sandbox(environment, require=require_sandbox, reporter=reporter)),
        )
    except NotADirectoryError as error:
        raise UsageError(f"the cache folder {cache_dir} is not a folder: {error}", hint="choose another with --cache-dir") from error
    finally:
        transport.close()


def _digest(config: Mapping[str, Any]) -> str:
    import hashlib

    return hashlib.sha256(tomli_w.dumps(dict(config)).encode()).hexdigest()[:16]
