//! The metrics of a session pod. Labels are words from fixed lists; which connection it is, Prometheus knows from where it
//! asks. `docs/reference/metrics.md` is made from here.

use relay::SessionState;

/// The kinds of events, as the journal tells them.
const EVENTS: &[&str] = &["message", "recovered", "ack", "chat", "state", "commandDone"];

/// The kinds of commands, and what cannot be read.
const COMMAND_KINDS: &[&str] = &["sendText", "refreshQr", "logout", "listChats", "unreadable"];

/// The calls into the page.
const METHODS: &[&str] =
    &["chats", "hasMessage", "logout", "messages", "refreshQr", "resume", "sendText", "startPairing", "state"];

runtime::declare_metrics! {
    /// Whether the session can relay, as its readiness probe says.
    READY: Gauge = "whatsapp_session_ready";
    /// 1 for the state that the session is in, 0 for the others.
    STATE: Gauge = "whatsapp_session_state" ["state": SessionState::NAMES];
    /// Transitions, by the state that began.
    TRANSITIONS: Counter = "whatsapp_session_transitions_total" ["to": SessionState::NAMES];
    /// Starts of the browser after the first.
    BROWSER_RESTARTS: Counter = "whatsapp_session_browser_restarts_total";
    /// QR and pairing codes that were shown.
    LINK_CODES: Counter = "whatsapp_session_link_codes_total" ["kind": &["qr", "pairingCode"]];
    /// Phones that were linked by a code that was shown.
    LINKS: Counter = "whatsapp_session_links_total";
    /// Events that were kept for the API, by kind; a message that was found after a break is `recovered`.
    EVENTS_TOLD: Counter = "whatsapp_session_events_total" ["kind": EVENTS];
    /// Events that had no room in the outbox, by kind. Messages are looked for again, the others are lost.
    EVENTS_REFUSED: Counter = "whatsapp_session_events_refused_total" ["kind": EVENTS];
    /// Size of the outbox on the volume.
    OUTBOX_BYTES: Gauge = "whatsapp_session_outbox_bytes";
    /// Events in the outbox, which Redis does not have yet.
    OUTBOX_EVENTS: Gauge = "whatsapp_session_outbox_events";
    /// 1 while the volume is full, or does not take what the session must remember, which memory then keeps.
    VOLUME_FAILING: Gauge = "whatsapp_session_volume_failing";
    /// Calls to Redis that failed, by what was to be done.
    REDIS_ERRORS: Counter = "whatsapp_session_redis_errors_total" ["doing": &["lease", "snapshot", "event", "commands"]];
    /// Commands that ended, by kind and outcome.
    COMMANDS: Counter = "whatsapp_session_commands_total"
        ["kind": COMMAND_KINDS, "result": &["done", "failed", "expired", "unknown", "dropped"]];
    /// From when Redis had a command to its outcome; a command may wait for the session to be connected.
    COMMAND_SECONDS: Histogram = "whatsapp_session_command_seconds" ["kind": COMMAND_KINDS];
    /// What a call into the page took.
    PAGE_CALL_SECONDS: Histogram = "whatsapp_session_page_call_seconds" ["method": METHODS, "result": &["ok", "error"]];
    /// What an earlier life of the page said and only now arrived: kept, or dropped because it is over.
    LATE_EVENTS: Counter = "whatsapp_session_late_events_total" ["result": &["kept", "dropped"]];
    /// Chats that could not be read in any try after a break, so that what was missed in them is not told.
    CHATS_GIVEN_UP: Counter = "whatsapp_session_chats_given_up_total";
    /// How often the page had a message of which it had not told.
    DEAF: Counter = "whatsapp_session_deaf_total";
    /// What the page told and nobody could read, by which part of it.
    UNREADABLE: Counter = "whatsapp_session_unreadable_events_total" ["what": &["json", "number", "body", "field"]];
    /// Processes that the browser left behind and the pod's init took away.
    ORPHANS_REAPED: Counter = "whatsapp_session_orphans_reaped_total";
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_metrics_reference_is_what_is_declared() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
        harness::golden_section(file.as_ref(), "session", &runtime::metrics::section(super::ALL));
    }
}
