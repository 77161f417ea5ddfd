-- The history of every company. Expand-only: code of the version before must keep working on it.
--
-- Every row carries its company. The second wall behind the API's own checks is row-level security: a transaction sees
-- only the company it named with `SET LOCAL api.company`, and nothing when it named none. '*' (no valid company id) is
-- for sweeps over all companies. Superusers are not held by it: the API's database user must not be one.

-- How far a connection's events are committed.
CREATE TABLE cursors (
    connection_id   uuid PRIMARY KEY,
    company_id      text NOT NULL,
    last_id         text NOT NULL DEFAULT '0-0',
    -- Grows with every change of owner; a writer that knows an older one is refused.
    fence           bigint NOT NULL DEFAULT 0,
    -- When the phone that is linked now was first connected. What was sent before belongs to the history that the phone
    -- brought along; what was sent later and found later was missed, and is news.
    linked_at timestamptz
);

CREATE TABLE chats (
    -- Made from connection and wa_id, so that a repeated event finds its row without a look-up.
    id               uuid PRIMARY KEY,
    company_id       text NOT NULL,
    connection_id    uuid NOT NULL,
    wa_id            text NOT NULL,
    kind             text NOT NULL,
    name             text,
    push_name        text,
    phone            text,
    lid              text,
    unread           integer NOT NULL DEFAULT 0,
    -- 'epoch' while nothing is known.
    last_activity_at timestamptz NOT NULL DEFAULT 'epoch',
    UNIQUE (connection_id, wa_id)
);
CREATE INDEX chats_by_activity ON chats (connection_id, last_activity_at DESC, id DESC);

CREATE TABLE messages (
    -- Made from connection and wa_id.
    id            uuid PRIMARY KEY,
    -- Order of arrival among messages of one second, which is as fine as WhatsApp's clock is.
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    company_id    text NOT NULL,
    connection_id uuid NOT NULL,
    chat_id       uuid NOT NULL REFERENCES chats (id),
    wa_id         text NOT NULL,
    from_me       boolean NOT NULL,
    author        text,
    push_name     text,
    type          text NOT NULL,
    text          text,
    quoted        text,
    sent_at       timestamptz NOT NULL,
    ack           smallint NOT NULL DEFAULT 0,
    -- The rest is for messages that were sent through this API.
    command_id    uuid,
    deadline      timestamptz,
    dispatched_at timestamptz,
    outcome       text,
    failure       text,
    -- Place of the message's event in its connection's stream; unset until WhatsApp told of it.
    event_ms      bigint,
    event_seq     bigint,
    UNIQUE (connection_id, wa_id)
);
CREATE INDEX messages_by_time ON messages (chat_id, sent_at DESC, seq DESC);
CREATE INDEX messages_by_arrival ON messages (connection_id, seq);
CREATE INDEX messages_by_command ON messages (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX messages_without_outcome ON messages (deadline)
    WHERE command_id IS NOT NULL AND outcome IS NULL;

-- Every committed event, in the order of its connection's stream: what clients resume from.
CREATE TABLE events (
    connection_id uuid NOT NULL,
    ms            bigint NOT NULL,
    seq           bigint NOT NULL,
    company_id    text NOT NULL,
    previous      text NOT NULL,
    kind          text NOT NULL,
    at            timestamptz NOT NULL,
    -- What sockets are told, as `{name, data}`; unset for what is not told.
    payload       jsonb,
    PRIMARY KEY (connection_id, ms, seq)
);

-- Events that could not be understood or stored. They are kept for people; the stream goes on.
CREATE TABLE dead_letters (
    connection_id uuid NOT NULL,
    ms            bigint NOT NULL,
    seq           bigint NOT NULL,
    company_id    text NOT NULL,
    raw           text NOT NULL,
    error         text NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (connection_id, ms, seq)
);

CREATE TABLE idempotency_keys (
    company_id  text NOT NULL,
    key         text NOT NULL,
    -- SHA-256 of method, path and body: the same key must come with the same request.
    fingerprint bytea NOT NULL,
    status      smallint,
    response    jsonb,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Who tried to change what, and how it went: of people and programs, not of sessions. Never what a message said.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id text NOT NULL,
    at         timestamptz NOT NULL,
    subject    text,
    action     text NOT NULL,
    target     uuid,
    status     smallint NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX audit_by_company ON audit (company_id, id DESC);
CREATE INDEX audit_by_age ON audit (at);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['cursors', 'chats', 'messages', 'events', 'dead_letters', 'idempotency_keys',
        'audit'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY company ON %I USING (current_setting(''api.company'', true) IN (company_id, ''*''))', name);
    END LOOP;
END
$$;
