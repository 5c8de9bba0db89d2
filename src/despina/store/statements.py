"""The SQL statements of the SQLite store, by the method that runs them."""

INVOKED = "SELECT id, body, stop_requested, clean, stopped_by FROM jobs WHERE kind = :kind AND invocation = :invocation"

TAKEN = "SELECT 1 FROM jobs WHERE kind = :kind AND id = :id"

ACTIVE = "SELECT count(*) FROM jobs WHERE status IN ('InProgress', 'Stopping')"

ACTIVE_OF_ONE = "SELECT count(*) FROM jobs WHERE status IN ('InProgress', 'Stopping') AND started_by IS :started_by"

OWNED = "SELECT 1 FROM jobs WHERE prefix = :prefix"

CREATE = """
INSERT INTO jobs (kind, id, created_at, prefix, invocation, started_by, status, stop_requested, clean, swept, due_at, body)
VALUES (:kind, :id, :created_at, :prefix, :invocation, :started_by, :status, :stop_requested, :clean, :swept, :created_at, :body)
"""

GET = "SELECT id, body, stop_requested, clean, stopped_by FROM jobs WHERE kind = ? AND id = ?"

LIST = "SELECT id FROM jobs WHERE kind = ? ORDER BY created_at DESC, seq DESC LIMIT ?"

POSITION = "SELECT created_at, seq FROM jobs WHERE kind = ? AND id = ?"

LIST_FILTERED = """
SELECT id, created_at, seq FROM jobs
WHERE kind = ? AND created_at > ? AND (created_at, seq) < (?, ?) AND (? IS NULL OR instr(lower(id), ?))
ORDER BY created_at DESC, seq DESC LIMIT ?
"""

LIST_BY_STATUS = """
SELECT id, created_at, seq FROM jobs
WHERE kind = ? AND created_at > ? AND (created_at, seq) < (?, ?) AND (? IS NULL OR instr(lower(id), ?)) AND status = ?
ORDER BY created_at DESC, seq DESC LIMIT ?
"""

# A stopped job may be told to clean again until it is swept: the sweep may have failed.
REQUEST_STOP = """
UPDATE jobs
SET stop_requested = 1, clean = :clean, stopped_by = :by, status = CASE status WHEN 'Stopped' THEN 'Stopped' ELSE 'Stopping' END,
    lease_token = lease_token + 1, lease_expires_at = NULL, due_at = :now
WHERE kind = :kind AND id = :id AND (
    status IN ('InProgress', 'Stopping') AND (NOT stop_requested OR clean < :clean)
    OR status = 'Stopped' AND :clean AND NOT swept
)
"""

FREE_BY_KEY = """
SELECT seq, kind, lease_token, id, body, stop_requested, clean, stopped_by FROM jobs
WHERE kind = :kind AND id = :id AND due_at IS NOT NULL AND (lease_expires_at IS NULL OR lease_expires_at <= :now)
"""

FREE_LONGEST_DUE = """
SELECT seq, kind, lease_token, id, body, stop_requested, clean, stopped_by FROM jobs
WHERE due_at <= :now AND (lease_expires_at IS NULL OR lease_expires_at <= :now)
ORDER BY due_at, seq LIMIT 1
"""

CLAIM = "UPDATE jobs SET lease_token = :token, lease_expires_at = :until WHERE seq = :seq"

HELD = "kind = :kind AND id = :id AND lease_token = :token AND lease_expires_at IS NOT NULL"

RENEW = f"UPDATE jobs SET lease_expires_at = :until WHERE {HELD}"  # noqa: S608 - a constant

STATUS_HELD = f"SELECT status FROM jobs WHERE {HELD}"  # noqa: S608

WRITE = """
UPDATE jobs
SET status = CASE WHEN stop_requested AND :status = 'InProgress' THEN 'Stopping' ELSE :status END, swept = :swept, body = :body
WHERE kind = :kind AND id = :id
"""

RELEASE = f"UPDATE jobs SET lease_expires_at = NULL, due_at = :due_at WHERE {HELD}"  # noqa: S608

NEXT_DUE = "SELECT min(max(due_at, coalesce(lease_expires_at, 0))) FROM jobs WHERE due_at IS NOT NULL"
