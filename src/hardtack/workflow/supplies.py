"""What the verbs work with, opened once: the indexes, the store, uv. The rooms are handed only the piece that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from hardtack.errors import UsageError
from hardtack.indexing.client import IndexClient
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexSettings
from hardtack.indexing.uv_network import for_uv
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.system.uv import Uv, find_uv
from hardtack.wheelhouse.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """The capabilities of one run. ``uv_settings`` and ``uv_config`` are the user's indexes in uv's words, without logins."""

    cache_dir: Path
    settings: IndexSettings
    transport: HttpTransport
    client: IndexClient
    store: Store
    uv: Uv
    uv_settings: Mapping[str, Any]
    uv_config: Path


@contextmanager
def open_supplies(
    settings: IndexSettings,
    credentials: Credentials,
    *,
    cache_dir: Path,
    environment: Mapping[str, str],
    reporter: Reporter,
    stop: Cancellation,
) -> Iterator[Supplies]:
    """Open the store, the transport and uv for one run, and close what must be closed."""
    network = for_uv(settings, credentials)
    transport = HttpTransport(settings, credentials, stop=stop)
    try:
        uv = find_uv(cache_dir, environment, network=network.environment, offline=settings.offline)
        config = cache_dir / "uv-settings" / f"{_digest(network.config)}.toml"
        write_bytes(config, tomli_w.dumps(dict(network.config)).encode())
        yield Supplies(
            cache_dir=cache_dir,
            settings=settings,
            transport=transport,
            client=IndexClient(transport, settings, cache_dir=cache_dir),
            store=Store(cache_dir / "files", reporter=reporter),
            uv=uv,
            uv_settings=network.config,
            uv_config=config,
        )
    except NotADirectoryError as error:
        raise UsageError(f"the cache folder {cache_dir} is not a folder: {error}", hint="choose another with --cache-dir") from error
    finally:
        transport.close()


def _digest(config: Mapping[str, Any]) -> str:
    import hashlib

    return hashlib.sha256(tomli_w.dumps(dict(config)).encode()).hexdigest()[:16]
