//! The settings that several binaries have, said once: `#[command(flatten)]` takes them in.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Complaints, read_secret};
use crate::otlp::Collector;
use crate::telemetry::LogFormat;

/// What every server has, as given.
#[derive(Args, Debug, Clone)]
pub struct ServerArguments {
    /// Where `/live`, `/ready` and `/metrics` are served.
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    admin_address: String,
    /// json or text.
    #[arg(long, env = "LOG_FORMAT", default_value = "json")]
    log_format: String,
    /// Where traces go: a collector that takes OTLP over HTTP, for example `http://collector:4318`; empty means nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "")]
    otlp_endpoint: String,
}

impl ServerArguments {
    /// Where the admin server listens.
    pub fn admin_address(&self, complaints: &mut Complaints) -> Option<SocketAddr> {
        complaints.check("ADMIN_ADDRESS", self.admin_address.parse())
    }

    /// How log lines look.
    pub fn log_format(&self, complaints: &mut Complaints) -> Option<LogFormat> {
        complaints.check("LOG_FORMAT", self.log_format.parse())
    }

    /// Where traces go, if anywhere.
    pub fn collector(&self, complaints: &mut Complaints) -> Option<Option<Collector>> {
        complaints.check("OTEL_EXPORTER_OTLP_ENDPOINT", Collector::optional(&self.otlp_endpoint))
    }
}

/// Where Redis is and who we are to it, as given. Nothing here knows what Redis is used for.
#[derive(Args, Debug, Clone)]
pub struct RedisArguments {
    /// Redis, for example `redis://redis:6379/`; `rediss://` speaks TLS.
    #[arg(long = "redis-url", env = "REDIS_URL", default_value = "", hide_env_values = true)]
    url: String,
    /// Redis user. The operator's may manage users; the API's may touch the keys and channels of all sessions.
    #[arg(long = "redis-username", env = "REDIS_USERNAME", default_value = "default")]
    username: String,
    /// File that holds that user's password; unset means what the URL says.
    #[arg(long = "redis-password-file", env = "REDIS_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// The authorities (PEM) that may have signed the certificate of a `rediss://`; empty means public ones.
    #[arg(long = "redis-ca", env = "REDIS_CA", default_value = "", hide_env_values = true)]
    authorities: String,
}

/// Where Redis is, with what was read from files.
pub struct RedisSettings {
    /// The URL.
    pub url: String,
    /// User and password, where a file holds one.
    pub login: Option<(String, String)>,
    /// Authorities in PEM; empty means public ones.
    pub authorities: String,
}

impl RedisArguments {
    /// What the arguments and their files say; nothing after a complaint.
    pub fn read(&self, complaints: &mut Complaints) -> Option<RedisSettings> {
        let login = match &self.password_file {
            None => Some(None),
            Some(file) => {
                let password = complaints.check("REDIS_PASSWORD_FILE", read_secret(file));
                password.map(|password| Some((self.username.clone(), password)))
            }
        };
        Some(RedisSettings { url: self.url.clone(), login: login?, authorities: self.authorities.clone() })
    }
}
