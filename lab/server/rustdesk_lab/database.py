"""hbbs's SQLite file, with upstream's table."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path

from .errors import DaemonError

_OPEN_FAILED = "An error occured while creating a new object: error returned from database: "
_SCHEMA = """
create table if not exists peer (
    guid blob primary key not null,
    id varchar(100) not null,
    uuid blob not null,
    pk blob not null,
    created_at datetime not null default(current_timestamp),
    user blob,
    status tinyint,
    note varchar(300),
    info text not null
) without rowid;
create unique index if not exists index_peer_id on peer (id);
create index if not exists index_peer_user on peer (user);
create index if not exists index_peer_created_at on peer (created_at);
create index if not exists index_peer_status on peer (status);
"""


@dataclass(frozen=True)
class PeerRow:
    """A registered device as stored."""

    guid: bytes
    uuid: bytes
    pk: bytes
    info: str


class Database:
    """The table of registered devices. Rows are inserted and updated, never removed."""

    def __init__(self, url: str) -> None:
        """Open or create the file; raise DaemonError when that is impossible.

        As upstream does, the raw text is created when no such path exists; ``sqlite://`` in front is then cut off.
        """
        path = Path(url)
        if not path.exists():
            with contextlib.suppress(OSError):  # opening it gives the better error
                path.touch()
        name = url.removeprefix("sqlite:").removeprefix("//")
        try:
            if not Path(name).exists():
                raise sqlite3.OperationalError("unable to open database file")
            self._connection = sqlite3.connect(name, isolation_level=None, timeout=5.0)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise DaemonError(f"{_OPEN_FAILED}{error}") from error

    def get_peer(self, peer_id: str) -> PeerRow | None:
        """Find a device by its id."""
        query = "select guid, uuid, pk, info from peer where id = ?"
        row = self._connection.execute(query, (peer_id,)).fetchone()
        return PeerRow(*row) if row else None

    def insert_peer(self, peer_id: str, machine: bytes, pk: bytes, info: str) -> bytes:
        """Store a new device and return its row's guid."""
        guid = uuid.uuid4().bytes
        self._connection.execute(
            "insert into peer(guid, id, uuid, pk, info) values(?, ?, ?, ?, ?)", (guid, peer_id, machine, pk, info)
        )
        return guid

    def update_pk(self, guid: bytes, peer_id: str, pk: bytes, info: str) -> None:
        """Change a device's key and address; its uuid stays, as in upstream."""
        self._connection.execute("update peer set id=?, pk=?, info=? where guid=?", (peer_id, pk, info, guid))
