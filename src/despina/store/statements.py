"""The SQL statements of the stores, by the method that runs them: in the SQL that SQLite and PostgreSQL have in common.

``:name`` stands for a value. Where the two differ PostgreSQL needs a word more, which is marked ``/*postgresql: … */``: to SQLite
that is a comment.
"""

# jobs

_RECORD = "id, body, version, stop_requested, clean, stopped_by"

# What a newer version of Despina has written is left to it: this one would lose what it does not know.
_OURS = "version <= :version"

INVOKED = f"SELECT {_RECORD} FROM jobs WHERE kind = :kind AND invocation = :invocation"

TAKEN = "SELECT 1 FROM jobs WHERE kind = :kind AND id = :id"

ACTIVE = "SELECT count(*) FROM jobs WHERE status IN ('InProgress', 'Stopping')"

ACTIVE_OF_ONE = f"{ACTIVE} AND coalesce(started_by, '') = coalesce(:started_by, '')"

COUNT_ACTIVE = "SELECT kind, status, count(*) FROM jobs WHERE status IN ('InProgress', 'Stopping') GROUP BY kind, status"

OWNED = "SELECT 1 FROM jobs WHERE prefix = :prefix"

CREATE = """
INSERT INTO jobs (kind, id, created_at, prefix, invocation, started_by, status, stop_requested, clean, swept, due_at, version, body)
VALUES (:kind, :id, :created_at, :prefix, :invocation, :started_by, :status, :stop_requested, :clean, :swept, :created_at,
    :version, :body)
"""

GET = f"SELECT {_RECORD} FROM jobs WHERE kind = :kind AND id = :id"

LIST = "SELECT id FROM jobs WHERE kind = :kind ORDER BY created_at DESC, seq DESC LIMIT :most"

POSITION = "SELECT created_at, seq FROM jobs WHERE kind = :kind AND id = :id"

# To SQLite's LIKE upper and lower case are the same, and lower() would double the time of a search.
_AMONG = ("kind = :kind AND created_at > :after AND (created_at, seq) < (:before, :seq) "
          "AND /*postgresql: lower */(id) LIKE :pattern ESCAPE '!'")

LIST_FILTERED = f"SELECT id, created_at, seq FROM jobs WHERE {_AMONG} ORDER BY created_at DESC, seq DESC LIMIT :most"

LIST_BY_STATUS = f"""
SELECT id, created_at, seq FROM jobs WHERE {_AMONG} AND status = :status ORDER BY created_at DESC, seq DESC LIMIT :most
"""

# A stopped job may be told to clean again until it is swept: the sweep may have failed.
REQUEST_STOP = """
UPDATE jobs
SET stop_requested = TRUE, clean = :clean, stopped_by = :by,
    status = CASE status WHEN 'Stopped' THEN 'Stopped' ELSE 'Stopping' END,
    lease_token = lease_token + 1, lease_expires_at = NULL, due_at = :now
WHERE kind = :kind AND id = :id AND (
    status IN ('InProgress', 'Stopping') AND (NOT stop_requested OR clean < :clean)
    OR status = 'Stopped' AND :clean AND NOT swept
)
"""

_CLAIM = "UPDATE jobs SET lease_token = lease_token + 1, lease_expires_at = :until"

_FREE = "(lease_expires_at IS NULL OR lease_expires_at <= :now)"

_CLAIMED = f"RETURNING kind, lease_token, {_RECORD}"

CLAIM_BY_KEY = f"{_CLAIM} WHERE kind = :kind AND id = :id AND due_at IS NOT NULL AND {_FREE} AND {_OURS} {_CLAIMED}"

# Whoever claims at the same time takes the next one, and nobody waits.
CLAIM_LONGEST_DUE = f"""
{_CLAIM}
WHERE seq = (
    SELECT seq FROM jobs WHERE due_at <= :now AND {_FREE} AND {_OURS}
    ORDER BY due_at, seq LIMIT 1 /*postgresql: FOR UPDATE SKIP LOCKED */
)
{_CLAIMED}
"""

_HELD = "kind = :kind AND id = :id AND lease_token = :token AND lease_expires_at IS NOT NULL"

RENEW = f"UPDATE jobs SET lease_expires_at = :until WHERE {_HELD} RETURNING seq"

STATUS_HELD = f"SELECT status FROM jobs WHERE {_HELD}"

# A terminal status never changes.
WRITE = f"""
UPDATE jobs
SET status = CASE WHEN stop_requested AND :status = 'InProgress' THEN 'Stopping' ELSE :status END, swept = :swept,
    version = :version, body = :body
WHERE {_HELD} AND (status IN ('InProgress', 'Stopping') OR status = :status)
RETURNING seq
"""

RELEASE = f"UPDATE jobs SET lease_expires_at = NULL, due_at = :due_at WHERE {_HELD} RETURNING seq"

# The first job in the order of their times that is not leased bounds how far to look, however many there are.
NEXT_DUE = f"""
SELECT min(CASE WHEN lease_expires_at > due_at THEN lease_expires_at ELSE due_at END) FROM jobs
WHERE {_OURS} AND due_at <= coalesce(
    (SELECT due_at FROM jobs WHERE due_at IS NOT NULL AND lease_expires_at IS NULL AND {_OURS} ORDER BY due_at, seq LIMIT 1),
    9223372036854775807)
"""

LEFT_ALONE = f"SELECT count(*) FROM jobs WHERE due_at IS NOT NULL AND NOT {_OURS}"

# endpoints

_ENDPOINT = "seq, revision, id, version, body"

# An id comes before another endpoint's resource name that is the same.
ENDPOINT = f"SELECT {_ENDPOINT} FROM endpoints WHERE id = :id OR resource_name = :id ORDER BY id = :id DESC LIMIT 1"

ENDPOINTS = f"SELECT {_ENDPOINT} FROM endpoints ORDER BY created_at DESC, seq DESC"

ENDPOINT_INVOKED = f"SELECT {_ENDPOINT} FROM endpoints WHERE invocation = :invocation"

ENDPOINT_TAKEN = "SELECT 1 FROM endpoints WHERE id = :id"

ENDPOINTS_COUNTED = "SELECT count(*) FROM endpoints"

CREATE_ENDPOINT = """
INSERT INTO endpoints (id, resource_name, created_at, invocation, revision, version, body)
VALUES (:id, :resource_name, :created_at, :invocation, 1, :version, :body)
"""

WRITE_ENDPOINT = """
UPDATE endpoints SET revision = revision + 1, version = :version, body = :body
WHERE seq = :key AND revision = :revision RETURNING seq
"""

REMOVE_ENDPOINT = "DELETE FROM endpoints WHERE seq = :key AND revision = :revision RETURNING seq"

# principals and keys

FIND_KEY = """
SELECT access_keys.body, access_keys.disabled, principals.body
FROM access_keys JOIN principals ON principals.name = access_keys.principal WHERE access_keys.id = :id
"""

ARN_OF_ANOTHER = "SELECT name FROM principals WHERE arn = :arn AND name <> :name"

PUT_PRINCIPAL = """
INSERT INTO principals (name, arn, body) VALUES (:name, :arn, :body)
ON CONFLICT (name) DO UPDATE SET arn = :arn, body = :body
"""

PRINCIPAL = "SELECT 1 FROM principals WHERE name = :name"

PRINCIPAL_OF = "SELECT body FROM principals WHERE arn = :arn"

PRINCIPALS = "SELECT body FROM principals ORDER BY name"

DELETE_PRINCIPAL = "DELETE FROM principals WHERE name = :name RETURNING name"

KEY_TAKEN = "SELECT 1 FROM access_keys WHERE id = :id"

ADD_KEY = """
INSERT INTO access_keys (id, principal, created_at, disabled, body) VALUES (:id, :principal, :created_at, :disabled, :body)
"""

KEYS = "SELECT body, disabled FROM access_keys ORDER BY principal, created_at, id"

SET_DISABLED = "UPDATE access_keys SET disabled = :disabled WHERE id = :id RETURNING id"

DELETE_KEY = "DELETE FROM access_keys WHERE id = :id RETURNING id"
