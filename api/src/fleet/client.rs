//! The client of the API server: a name that the audit log can tell apart, and an end to every silence.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use kube::{Client, Config};

/// Seconds after which the API server ends a watch that had nothing to tell. A new one begins where it ended, for one
/// request.
pub const WATCH: u32 = 60;

/// Longest silence within one answer: longer than that of a watch. So a watch that died without a word (a hung API server,
/// a forgetful NAT) is missed within a minute, in which a deleted connection looks as if it were there.
const SILENCE: Duration = Duration::from_secs(70);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Neither a kubeconfig nor a `ServiceAccount` was found.
    #[error(transparent)]
    Config(#[from] kube::config::InferConfigError),
    /// What was found cannot be used.
    #[error(transparent)]
    Client(#[from] kube::Error),
}

/// From the kubeconfig or the pod's `ServiceAccount`.
pub async fn client() -> Result<Client, ClientError> {
    let mut config = Config::infer().await?;
    config.read_timeout = Some(SILENCE);
    let name = concat!("whatsapp-api/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(name)));
    Ok(Client::try_from(config)?)
}
