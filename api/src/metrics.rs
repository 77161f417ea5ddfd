//! The metrics of the API. Labels are words from fixed lists: whatever a client sends in, no series comes of it.
//! `docs/reference/metrics.md` is made from here.

use axum::http::StatusCode;

use crate::ingest::Unfit;

/// Methods; others count as `other`.
const METHODS: &[&str] = &["GET", "POST", "PATCH", "DELETE", "OPTIONS", runtime::metrics::OTHER];

/// The patterns of the routes, and what is none of them.
const ROUTES: &[&str] = &[
    "/health",
    "/openapi.json",
    "/socket.io",
    "/whatsapp/audit",
    "/whatsapp/chats/{id}/messages",
    "/whatsapp/connections",
    "/whatsapp/connections/{id}",
    "/whatsapp/connections/{id}/chats",
    "/whatsapp/connections/{id}/connect",
    "/whatsapp/connections/{id}/log",
    "/whatsapp/connections/{id}/logout",
    "/whatsapp/connections/{id}/messages",
    "/whatsapp/connections/{id}/qr",
    UNKNOWN,
];

/// A path that no route takes.
const UNKNOWN: &str = "unknown";

/// The answers that are given; others count as `other`.
const STATUSES: &[&str] = &[
    "101",
    "200",
    "201",
    "202",
    "204",
    "304",
    "400",
    "401",
    "403",
    "404",
    "405",
    "406",
    "409",
    "412",
    "413",
    "415",
    "422",
    "429",
    "500",
    "501",
    "503",
    runtime::metrics::OTHER,
];

runtime::declare_metrics! {
    /// Whether the API is ready, as its readiness probe says.
    READY: Gauge = "whatsapp_api_ready";
    /// Requests that were answered.
    HTTP_REQUESTS: Counter = "whatsapp_api_http_requests_total"
        ["method": METHODS, "route": ROUTES, "status": STATUSES];
    /// What the answer to a request took; a long poll of Socket.IO waits by design.
    HTTP_SECONDS: Histogram = "whatsapp_api_http_request_seconds" ["method": METHODS, "route": ROUTES];
    /// Tokens that were refused, of requests and of sockets.
    TOKENS_REFUSED: Counter = "whatsapp_api_tokens_refused_total";
    /// Sockets that asked for the room of another company, or of none.
    JOINS_REFUSED: Counter = "whatsapp_api_joins_refused_total";
    /// Entries of the audit log that could not be written and stand in the process' log only.
    AUDIT_FAILED: Counter = "whatsapp_api_audit_failed_total";
    /// Sockets that are open.
    SOCKETS: Gauge = "whatsapp_api_sockets";
    /// Sockets that said how far they were told, by whether they were told all that they had missed.
    SOCKETS_RESUMED: Counter = "whatsapp_api_sockets_resumed_total" ["recovered": &["true", "false"]];
    /// Companies with sockets here, whose events this replica listens for.
    COMPANIES_FOLLOWED: Gauge = "whatsapp_api_companies_followed";
    /// Gaps in what this replica's sockets were told, each of which is read from the database.
    GAPS_FILLED: Counter = "whatsapp_api_gaps_filled_total";
    /// Sockets that were closed because they did not keep up.
    SLOW_SOCKETS: Counter = "whatsapp_api_slow_sockets_total";
    /// Replicas that live, as this one sees it; 0 while it cannot say that it lives itself.
    REPLICAS_ALIVE: Gauge = "whatsapp_api_replicas_alive";
    /// Connections whose events this replica reads.
    CONNECTIONS_OWNED: Gauge = "whatsapp_api_connections_owned";
    /// Connections that this replica took from another, or from nobody.
    CONNECTIONS_TAKEN: Counter = "whatsapp_api_connections_taken_total";
    /// Events of sessions that were stored, by kind.
    EVENTS: Counter = "whatsapp_api_events_total" ["kind": &["message", "ack", "chat", "state", "commandDone"]];
    /// From when Redis had an event to when it stood in the database.
    EVENT_SECONDS: Histogram = "whatsapp_api_event_seconds";
    /// Age of the oldest event in Redis that is known and not yet stored; 0 when there is none. While the database does not
    /// answer it is at least as long as that has been so.
    INGEST_LAG: Gauge = "whatsapp_api_ingest_lag_seconds";
    /// Turns of a session's events that ended early, by what failed.
    INGEST_ERRORS: Counter = "whatsapp_api_ingest_errors_total"
        ["cause": &["database", "redis", "overtaken", "deadline"]];
    /// Events that could not be understood or stored and were put aside, by why.
    DEAD_LETTERS: Counter = "whatsapp_api_dead_letters_total" ["reason": Unfit::LABELS];
    /// Stored events that the other replicas were not told of.
    UNTOLD: Counter = "whatsapp_api_untold_total";
    /// Messages that were stored and had not left, and were sent by the sweep.
    RESENT: Counter = "whatsapp_api_outbox_resent_total";
    /// Messages that were given up: no session told how they ended.
    GIVEN_UP: Counter = "whatsapp_api_messages_given_up_total";
    /// Errors of watches; each is followed by a new try of that watch alone.
    WATCH_ERRORS: Counter = "whatsapp_api_watch_errors_total" ["resource": &["namespaces", "connections"]];
    /// Requests that were answered with 503, by the code of the problem, which says what was away.
    UNAVAILABLE: Counter = "whatsapp_api_unavailable_total"
        ["code": &["storage_unavailable", "relay_unavailable", "cluster_unavailable", "timeout"]];
}

/// The word for a route's pattern.
#[must_use]
pub fn route(pattern: Option<&str>, path: &str) -> &'static str {
    let known = |wanted: &str| ROUTES.iter().find(|route| **route == wanted).copied();
    match pattern {
        Some(pattern) => known(pattern).unwrap_or(runtime::metrics::OTHER),
        None if path.starts_with("/socket.io") => "/socket.io",
        None => UNKNOWN,
    }
}

/// The word for a method.
#[must_use]
pub fn method(name: &str) -> &'static str {
    METHODS.iter().find(|method| **method == name).copied().unwrap_or(runtime::metrics::OTHER)
}

/// The word for an answer.
#[must_use]
pub fn status(status: StatusCode) -> &'static str {
    STATUSES.iter().find(|word| **word == status.as_str()).copied().unwrap_or(runtime::metrics::OTHER)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_metrics_reference_is_what_is_declared() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
        harness::golden_section(file.as_ref(), "api", &runtime::metrics::section(super::ALL));
    }
}
