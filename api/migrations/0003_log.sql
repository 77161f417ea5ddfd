-- The log of a connection reads its few steps; without this it would read its many messages to find them.
CREATE INDEX events_of_state ON events (connection_id, ms DESC, seq DESC) WHERE kind = 'state';
