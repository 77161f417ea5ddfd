//! The client of the API server: a name that the audit log can tell apart, and an end to every silence.

use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::{Client, Config};

/// Longest silence of a connection that is being read. Longer than a watch, which the server ends in order after 75 s
/// ([`crate::watch::Bounds`]), so that only a connection that died without a word is given up.
pub const SILENCE: Duration = Duration::from_secs(90);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a kubeconfig nor a `ServiceAccount` was found.
    #[error(transparent)]
    Config(#[from] kube::config::InferConfigError),
    /// What was found cannot be used.
    #[error(transparent)]
    Client(#[from] kube::Error),
}

/// From the kubeconfig or the pod's `ServiceAccount`.
pub async fn client() -> Result<Client, Error> {
    from(Config::infer().await?, SILENCE)
}

/// From this configuration, with an end to every silence.
pub fn from(mut config: Config, silence: Duration) -> Result<Client, Error> {
    config.read_timeout = Some(silence);
    let name = concat!("whatsapp-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(name)));
    Ok(Client::try_from(config)?)
}
