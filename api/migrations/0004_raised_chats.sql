-- Pages of chats that stay whole also while chats are raised by something else than a message that is stored.
ALTER TABLE chats
    -- When its latest activity last became later, in the numbers of `messages.seq`.
    ADD COLUMN raised_seq bigint NOT NULL DEFAULT 0;
CREATE INDEX chats_by_raise ON chats (connection_id, raised_seq);
