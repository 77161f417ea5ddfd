-- When the phone that is linked now was first connected. What was sent before belongs to the history that the phone
-- brought along; what was sent later and found later was missed, and is news. `chats_listed_at` is not used any more; it
-- stays for the version before.
ALTER TABLE cursors ADD COLUMN linked_at timestamptz;
