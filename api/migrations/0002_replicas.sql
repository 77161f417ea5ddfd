-- Several replicas of the API, and clients that resume.

-- The replicas that live: each says so every two seconds. One that was not heard of for six owns nothing any more.
-- No company has a part in it, so there is no row-level security on it.
CREATE TABLE replicas (
    id      uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

ALTER TABLE cursors
    -- The last event that clients were told of: the `previous` of the next one.
    ADD COLUMN told text NOT NULL DEFAULT '0-0',
    -- The greatest fence that an event of the session carried. One with a smaller fence comes from an overtaken pod.
    ADD COLUMN session_fence bigint NOT NULL DEFAULT 0;

-- What clients missed is read along this one.
CREATE INDEX events_told ON events (connection_id, ms, seq) WHERE payload IS NOT NULL;

SET LOCAL api.company = '*';
UPDATE cursors SET told = newest.id FROM (
    SELECT DISTINCT ON (connection_id) connection_id, ms || '-' || seq AS id FROM events WHERE payload IS NOT NULL
    ORDER BY connection_id, ms DESC, seq DESC
) newest WHERE newest.connection_id = cursors.connection_id;
