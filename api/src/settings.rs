//! The API's settings: environment variables or flags, judged together at start-up. Secrets may come as values or as
//! files; nothing here prints one.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand};
use relay::{Credentials, Endpoint};
use runtime::otlp::Collector;
use runtime::settings::{Complaints, RedisArguments, RedisSettings, ServerArguments, read_secret};
use runtime::telemetry::LogFormat;
use sqlx::postgres::PgConnectOptions;

use crate::auth::{EXAMPLE_SECRET, Limits, SHORTEST_SECRET, TokenKeys};

/// Serves connections, chats and messages of WhatsApp over REST and Socket.IO.
#[derive(Parser, Debug)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: RawSettings,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve (what happens without a subcommand, too).
    Serve,
    /// Bring the database's schema up to date and end.
    Migrate,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Task {
    /// Serve until told to stop.
    Serve(RawSettings),
    /// Bring the schema up to date.
    Migrate(RawSettings),
}

impl Arguments {
    /// The task that the command line names.
    #[must_use]
    pub fn task(self) -> Task {
        match self.command {
            Some(Command::Migrate) => Task::Migrate(self.settings),
            Some(Command::Serve) | None => Task::Serve(self.settings),
        }
    }
}

/// The settings as given, all text, so that every mistake in them can be told at once.
#[derive(Args, Debug)]
pub struct RawSettings {
    /// `PostgreSQL`, for example `postgres://user:password@host:5432/name?sslmode=verify-full`.
    #[arg(long, env = "DATABASE_URL", default_value = "", hide_env_values = true)]
    database_url: String,
    /// File that holds the database user's password, in place of one in the URL.
    #[arg(long, env = "DATABASE_PASSWORD_FILE")]
    database_password_file: Option<PathBuf>,
    /// Secret of the tokens (HS256), at least 32 bytes.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<String>,
    /// File that holds that secret, in place of the value.
    #[arg(long, env = "JWT_SECRET_FILE")]
    jwt_secret_file: Option<PathBuf>,
    /// Port of REST and Socket.IO.
    #[arg(long, env = "PORT", default_value = "3001")]
    port: String,
    /// Origins of the frontends that may call, separated by commas.
    #[arg(long, env = "FRONTEND_URL", default_value = "http://localhost:3000")]
    frontend_url: String,
    #[command(flatten)]
    redis: RedisArguments,
    /// Requests a second that one company may make of one replica; twice as many at once.
    #[arg(long, env = "RATE_LIMIT", default_value = "100")]
    rate_limit: String,
    /// Seconds from a signal to end until the port closes: so long those who send requests may take to learn of it.
    #[arg(long, env = "DRAIN_SECONDS", default_value = "10")]
    drain_seconds: String,
    #[command(flatten)]
    server: ServerArguments,
}

/// What `api migrate` needs.
#[derive(Debug)]
pub struct MigrateSettings {
    /// The database.
    pub database: PgConnectOptions,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// What `api serve` needs.
#[derive(Debug)]
pub struct Settings {
    /// The database.
    pub database: PgConnectOptions,
    /// Redis.
    pub redis: Endpoint,
    /// Verifies tokens.
    pub tokens: TokenKeys,
    /// How much a company may ask.
    pub limits: Limits,
    /// Who may call from a browser.
    pub origins: Vec<HeaderValue>,
    /// Where REST and Socket.IO are served.
    pub address: SocketAddr,
    /// Where the admin server listens.
    pub admin_address: SocketAddr,
    /// How long requests are still taken after a signal to end.
    pub drain: Duration,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where traces go.
    pub collector: Option<Collector>,
}

impl RawSettings {
    /// The settings of `api serve`, or everything that is wrong with them.
    pub fn for_serving(self) -> Result<Settings, Complaints> {
        let mut complaints = Complaints::default();
        let database = self.database(&mut complaints);
        let redis = self.redis(&mut complaints);
        let tokens = self.tokens(&mut complaints);
        let limits: Option<NonZeroU16> = complaints.check("RATE_LIMIT", self.rate_limit.parse());
        let origins = complaints.check("FRONTEND_URL", origins(&self.frontend_url));
        let port: Option<u16> = complaints.check("PORT", self.port.parse());
        let admin_address = self.server.admin_address(&mut complaints);
        let drain: Option<u8> = complaints.check("DRAIN_SECONDS", self.drain_seconds.parse());
        let log_format = self.server.log_format(&mut complaints);
        let collector = self.server.collector(&mut complaints);
        let all = (|| {
            Some(Settings {
                database: database?,
                redis: redis?,
                tokens: tokens?,
                limits: limits.map(Limits::new)?,
                origins: origins?,
                address: (Ipv4Addr::UNSPECIFIED, port?).into(),
                admin_address: admin_address?,
                drain: Duration::from_secs(drain?.into()),
                log_format: log_format?,
                collector: collector?,
            })
        })();
        complaints.into_result(all)
    }

    /// The settings of `api migrate`, or everything that is wrong with them.
    pub fn for_migrating(self) -> Result<MigrateSettings, Complaints> {
        let mut complaints = Complaints::default();
        let database = self.database(&mut complaints);
        let log_format = self.server.log_format(&mut complaints);
        let all = (|| Some(MigrateSettings { database: database?, log_format: log_format? }))();
        complaints.into_result(all)
    }

    fn database(&self, complaints: &mut Complaints) -> Option<PgConnectOptions> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| self.database_url.starts_with(scheme));
        complaints.require("DATABASE_URL", known, "must begin with postgres://");
        // The parser's own message would quote the URL, and with it a password.
        let parsed = PgConnectOptions::from_str(&self.database_url).map_err(|_| "is no URL of a PostgreSQL database");
        let options = if known { complaints.check("DATABASE_URL", parsed) } else { None };
        match secret("DATABASE_PASSWORD_FILE", self.database_password_file.as_deref(), complaints) {
            Ok(password) => options.map(|options| match password {
                Some(password) => options.password(&password),
                None => options,
            }),
            Err(Complained) => None,
        }
    }

    fn redis(&self, complaints: &mut Complaints) -> Option<Endpoint> {
        let RedisSettings { url, login, authorities } = self.redis.read(complaints)?;
        let authorities = complaints.check("REDIS_CA", authorities.parse());
        let credentials = login.map(|(user, password)| Credentials::new(user, password));
        let endpoint = Endpoint::new(&url, credentials.as_ref());
        let endpoint =
            complaints.check("REDIS_URL", endpoint.map_err(|_| "is no URL of a Redis, such as redis://host:6379/"))?;
        complaints.check("REDIS_CA", endpoint.trusting(authorities?))
    }

    fn tokens(&self, complaints: &mut Complaints) -> Option<TokenKeys> {
        let from_file = secret("JWT_SECRET_FILE", self.jwt_secret_file.as_deref(), complaints).ok()?;
        let both = from_file.is_some() && self.jwt_secret.is_some();
        complaints.require("JWT_SECRET_FILE", !both, "must not be set together with JWT_SECRET");
        let secret = from_file.or_else(|| self.jwt_secret.clone()).unwrap_or_default();
        let long_enough = secret.len() >= SHORTEST_SECRET;
        complaints.require(
            "JWT_SECRET",
            long_enough,
            "must have at least 32 bytes, for example `openssl rand -hex 32`",
        );
        complaints.require(
            "JWT_SECRET",
            secret != EXAMPLE_SECRET,
            "is the example of the documentation; make your own",
        );
        Some(TokenKeys::new(&secret))
    }
}

/// A complaint was made already.
struct Complained;

fn secret(name: &str, file: Option<&Path>, complaints: &mut Complaints) -> Result<Option<String>, Complained> {
    let Some(file) = file else { return Ok(None) };
    complaints.check(name, read_secret(file)).map(Some).ok_or(Complained)
}

/// Origins as browsers send them: scheme, host and port, without a path.
fn origins(list: &str) -> Result<Vec<HeaderValue>, String> {
    let parse = |text: &str| {
        let text = text.trim().trim_end_matches('/');
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' ']));
        let value = HeaderValue::from_str(text).ok().filter(|_| plain);
        value.ok_or_else(|| format!("{text:?} is no origin, such as https://crm.example.org"))
    };
    list.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    /// Made for this test; its key was thrown away. It ends in a hundred years.
    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\n\
             MIIBdDCCARugAwIBAgIURs9x/n0IAtQiJsu60ecs2C3oTmMwCgYIKoZIzj0EAwIw\n\
             DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjUxNTQyMThaGA8yMTI2MTEwMTE1NDIx\n\
             OFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABH7P\n\
             mnsoi2Z7MKBD9N10B/tFYBiFPlqUUm6kWfRL6YMUid4jRib6l+iB3rNvFY0HDL1x\n\
             qScum9BR0Qc4i9iCpVujUzBRMB0GA1UdDgQWBBRBXV0sBs/C96w29XmieIwcrZCa\n\
             GjAfBgNVHSMEGDAWgBRBXV0sBs/C96w29XmieIwcrZCaGjAPBgNVHRMBAf8EBTAD\n\
             AQH/MAoGCCqGSM49BAMCA0cAMEQCIG+99UyfYOz1MMhhoDqzIasFGSM1rnhyaDYy\n\
             hXBnBXGaAiAwbai1xQeW1orFNWXuX5d79pi83YcdTNuzB6oAcQgSvg==\n\
             -----END CERTIFICATE-----\n";

    fn serving(arguments: &[&str]) -> Result<Settings, Complaints> {
        let all = std::iter::once("api").chain(arguments.iter().copied());
        match Arguments::try_parse_from(all).expect("known flags").task() {
            Task::Serve(settings) => settings.for_serving(),
            Task::Migrate(_) => panic!("not asked for"),
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_no_secret_is() {
        let wrong = serving(&[
            "--database-url=mysql://user:hunter2@db/",
            "--jwt-secret=hunter2",
            "--port=http",
            "--frontend-url=https://crm.example.org/login",
            "--redis-url=hunter2",
            "--rate-limit=0",
            "--admin-address=8080",
            "--drain-seconds=-1",
            "--log-format=xml",
        ]);
        let complaints = wrong.expect_err("all is wrong");
        for name in [
            "DATABASE_URL",
            "JWT_SECRET",
            "PORT",
            "FRONTEND_URL",
            "REDIS_URL",
            "RATE_LIMIT",
            "ADMIN_ADDRESS",
            "DRAIN_SECONDS",
            "LOG_FORMAT",
        ] {
            let complained = complaints.all().iter().filter(|complaint| complaint.starts_with(&format!("{name}:")));
            assert_eq!(complained.count(), 1, "{name}: {complaints:?}");
        }
        assert!(!format!("{complaints:?}").contains("hunter2"));
    }

    #[test]
    fn the_example_secret_is_refused() {
        let refused = serving(&[
            "--database-url=postgres://db/whatsapp",
            "--redis-url=redis://redis/",
            &format!("--jwt-secret={EXAMPLE_SECRET}"),
        ]);
        assert!(refused.expect_err("the example").all().concat().contains("example"));
    }

    /// What would be lost: the API, where Redis' certificate comes from the company's own authority.
    #[test]
    fn an_authority_of_ones_own_may_have_signed_redis_certificate() {
        let with = |authorities: &str| {
            serving(&[
                "--database-url=postgres://db/whatsapp",
                "--redis-url=rediss://redis/",
                &format!("--redis-ca={authorities}"),
                &format!("--jwt-secret={SECRET}"),
            ])
        };
        assert!(with(AUTHORITY).is_ok());
        let refused = with("/etc/redis/ca.pem").expect_err("it is a path");
        assert!(refused.all().iter().all(|one| one.starts_with("REDIS_CA: ")), "{refused:?}");
    }

    #[test]
    fn several_frontends_may_call() {
        let settings = serving(&[
            "--database-url=postgres://db/whatsapp",
            "--redis-url=redis://redis/",
            &format!("--jwt-secret={SECRET}"),
            "--frontend-url=https://crm.example.org, http://localhost:3000/",
        ]);
        let settings = settings.expect("all is right");
        assert_eq!(settings.origins, ["https://crm.example.org", "http://localhost:3000"]);
        assert_eq!(settings.address.port(), 3001);
    }
}
