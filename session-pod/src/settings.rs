//! What the operator tells this pod, read once and judged as a whole. Which page is opened is not among it: that is
//! always <https://web.whatsapp.com>, and only the arguments of the browser can lead it elsewhere, for tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use relay::{CompanyId, ConnectionId, Endpoint, LinkKind, Phone, TraceParent};
use runtime::otlp::Collector;
use runtime::settings::{Complaints, read_secret};
use runtime::telemetry::LogFormat;

use crate::browser::flags;
use crate::commands::Gap;

/// The settings as text, each also an environment variable of the name that stands in its flag.
#[derive(Parser, Debug)]
#[command(name = "session-pod", version, about = "One WhatsApp account: its browser, its events, its commands")]
pub struct Arguments {
    /// UID of the connection's custom resource.
    #[arg(long, env = "CONNECTION_ID")]
    pub connection_id: String,
    /// Id of the company that it belongs to; for log lines.
    #[arg(long, env = "COMPANY_ID")]
    pub company_id: String,
    /// UID of this pod, which is the holder of the lease.
    #[arg(long, env = "POD_UID")]
    pub pod_uid: String,
    /// Name of this pod; for log lines.
    #[arg(long, env = "POD_NAME", default_value = "")]
    pub pod_name: String,
    /// Redis, for example `redis://redis:6379/`.
    #[arg(long, env = "REDIS_URL")]
    pub redis_url: String,
    /// The authorities (PEM) that may have signed the certificate of a `rediss://`; empty means public ones.
    #[arg(long, env = "REDIS_CA", default_value = "", hide_env_values = true)]
    pub redis_ca: String,
    /// Folder with the files `username` and `password`; without it the URL's own credentials count.
    #[arg(long, env = "REDIS_CREDENTIALS_DIR")]
    pub redis_credentials_dir: Option<PathBuf>,
    /// The volume of the connection: the browser's profile, the outbox, what the session remembers.
    #[arg(long, env = "PROFILE_DIR", default_value = "/data")]
    pub profile_dir: PathBuf,
    /// A writable folder whose content may be lost: the browser's home and temporary files.
    #[arg(long, env = "SCRATCH_DIR", default_value = "/tmp")]
    pub scratch_dir: PathBuf,
    /// The scripts for the page: probe.js, prelude.js, wa-js.js and bridge.js.
    #[arg(long, env = "PAGE_DIR", default_value = "/opt/session/page")]
    pub page_dir: PathBuf,
    /// The browser. It must be the program itself or a script that execs it: Debian's wrapper of
    /// chromium-headless-shell does not, so there /usr/lib/chromium/chromium-headless-shell is meant.
    #[arg(long, env = "BROWSER", default_value = "/usr/bin/chromium")]
    pub browser: PathBuf,
    /// Seconds from the start of the browser until it must say where it listens. It takes one when warm; a node that
    /// starts many browsers at once and a first start on a network volume must fit.
    #[arg(long, env = "BROWSER_START_SECONDS", default_value_t = 45)]
    pub browser_start_seconds: u64,
    /// Further arguments of the browser, separated by newlines or spaces; each begins with `--`.
    #[arg(long, env = "BROWSER_ARGS", default_value = "", allow_hyphen_values = true)]
    pub browser_args: String,
    /// File with the URL of a proxy without credentials, such as `socks5://proxy:1080`. A missing file means none.
    #[arg(long, env = "PROXY_URL_FILE")]
    pub proxy_url_file: Option<PathBuf>,
    /// Milliseconds without any progress after which WhatsApp's page is taken for one that the scripts do not fit. More
    /// is for a slow proxy.
    #[arg(long, env = "PAGE_PATIENCE_MS", default_value_t = 30_000)]
    pub page_patience_ms: u64,
    /// How a phone is linked.
    #[arg(long, env = "LINK_METHOD", value_enum, default_value_t = LinkMethod::QrCode)]
    pub link_method: LinkMethod,
    /// The phone's number for a pairing code: digits with country code.
    #[arg(long, env = "LINK_PHONE")]
    pub link_phone: Option<String>,
    /// Pause between two sends in milliseconds, `<least>-<most>`; each pause is drawn from the range.
    #[arg(long, env = "SEND_GAP_MS", default_value = "1000-3000")]
    pub send_gap_ms: String,
    /// Largest size of the outbox in bytes.
    #[arg(long, env = "OUTBOX_BYTES", default_value_t = 16 * 1024 * 1024)]
    pub outbox_bytes: u64,
    /// Where `/live`, `/ready` and `/metrics` are served.
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,
    /// `json` or `text`.
    #[arg(long, env = "LOG_FORMAT", default_value = "json")]
    pub log_format: String,
    /// Where traces go: a collector that takes OTLP over HTTP, for example `http://collector:4318`; empty means nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "")]
    pub otlp_endpoint: String,
    /// What this pod was made in the course of. What cannot be read is ignored.
    #[arg(long, env = "TRACEPARENT")]
    pub traceparent: Option<String>,
}

/// Ways to link a phone, spelled as in the custom resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum LinkMethod {
    /// The phone scans a code.
    QrCode,
    /// A code is typed into the phone.
    PairingCode,
}

/// How a phone is linked, with what that needs.
#[derive(Clone, PartialEq, Eq)]
pub enum Linking {
    /// The phone scans a code.
    Qr,
    /// This phone gets a code typed in.
    Pairing(Phone),
}

impl Linking {
    /// The kind of code that this makes.
    #[must_use]
    pub const fn kind(&self) -> LinkKind {
        match self {
            Self::Qr => LinkKind::Qr,
            Self::Pairing(_) => LinkKind::PairingCode,
        }
    }
}

/// What the browser is started with.
#[derive(Debug, Clone)]
pub struct BrowserSettings {
    /// The program.
    pub program: PathBuf,
    /// How long it may take until it listens.
    pub start: Duration,
    /// Arguments beyond our own.
    pub arguments: Vec<String>,
    /// Proxy for everything the page does.
    pub proxy: Option<String>,
    /// Its own folder on the volume.
    pub profile: PathBuf,
    /// Its home and temporary files.
    pub scratch: PathBuf,
    /// The scripts for the page.
    pub page: PathBuf,
    /// How long WhatsApp's page may make no progress while it loads.
    pub patience: Duration,
}

/// The settings, judged.
#[derive(Clone)]
pub struct Settings {
    /// The connection.
    pub connection: ConnectionId,
    /// Its company.
    pub company: CompanyId,
    /// The holder of the lease.
    pub pod_uid: String,
    /// For log lines.
    pub pod_name: String,
    /// Redis.
    pub redis: Endpoint,
    /// The volume.
    pub volume: PathBuf,
    /// The browser.
    pub browser: BrowserSettings,
    /// How a phone is linked.
    pub linking: Linking,
    /// The pause between two sends.
    pub gap: Gap,
    /// Largest size of the outbox in bytes.
    pub outbox_bytes: u64,
    /// The admin server.
    pub admin: SocketAddr,
    /// How log lines look.
    pub log: LogFormat,
    /// Where traces go.
    pub collector: Option<Collector>,
    /// What this pod was made in the course of.
    pub trace: Option<TraceParent>,
}

/// More than modules take to settle (2 s); after ten minutes nobody waits any more.
const PATIENCE_MS: std::ops::RangeInclusive<u64> = 3_000..=600_000;

/// The smallest outbox: one event of the largest size that the relay takes.
const OUTBOX_LEAST: u64 = 1024 * 1024;

impl Arguments {
    /// The settings, or all complaints about them.
    pub fn judge(self) -> Result<Settings, Complaints> {
        let mut complaints = Complaints::default();
        let connection = complaints.check("CONNECTION_ID", self.connection_id.parse());
        let company = complaints.check("COMPANY_ID", self.company_id.parse());
        complaints.require("POD_UID", fits_holder(&self.pod_uid), "must be 1 to 128 characters without '#'");
        let redis = self.redis(&mut complaints);
        let linking = self.linking(&mut complaints);
        let gap = complaints.check("SEND_GAP_MS", self.send_gap_ms.parse());
        complaints.require("OUTBOX_BYTES", self.outbox_bytes >= OUTBOX_LEAST, "must be at least 1048576");
        let patient = PATIENCE_MS.contains(&self.page_patience_ms);
        complaints.require("PAGE_PATIENCE_MS", patient, "must be 3000 to 600000");
        let log = complaints.check("LOG_FORMAT", self.log_format.parse());
        let collector = complaints.check("OTEL_EXPORTER_OTLP_ENDPOINT", Collector::optional(&self.otlp_endpoint));
        for script in crate::engine::scripts::FILES {
            let there = self.page_dir.join(script).is_file();
            complaints.require("PAGE_DIR", there, &format!("{script} is not in {}", self.page_dir.display()));
        }
        complaints.require("BROWSER", self.browser.is_file(), &format!("{} is no file", self.browser.display()));
        let start = self.browser_start_seconds;
        complaints.require("BROWSER_START_SECONDS", (1..=600).contains(&start), "must be 1 to 600");
        let arguments = complaints.check("BROWSER_ARGS", flags::parse(&self.browser_args));
        let proxy = complaints.check("PROXY_URL_FILE", self.proxy());
        let settings = (|| {
            Some(Settings {
                connection: connection?,
                company: company?,
                pod_uid: self.pod_uid,
                pod_name: self.pod_name,
                redis: redis?,
                linking: linking?,
                gap: gap?,
                outbox_bytes: self.outbox_bytes,
                admin: self.admin_address,
                log: log?,
                collector: collector?,
                trace: self.traceparent.and_then(|trace| trace.parse().ok()),
                browser: BrowserSettings {
                    program: self.browser,
                    start: Duration::from_secs(start),
                    arguments: arguments?,
                    proxy: proxy?,
                    profile: self.profile_dir.join("profile"),
                    scratch: self.scratch_dir,
                    page: self.page_dir,
                    patience: Duration::from_millis(self.page_patience_ms),
                },
                volume: self.profile_dir,
            })
        })();
        complaints.into_result(settings)
    }

    fn redis(&self, complaints: &mut Complaints) -> Option<Endpoint> {
        let authorities = complaints.check("REDIS_CA", self.redis_ca.parse());
        let endpoint = match &self.redis_credentials_dir {
            None => complaints.check("REDIS_URL", Endpoint::new(&self.redis_url, None)),
            Some(folder) => {
                complaints.check("REDIS_CREDENTIALS_DIR", read_secret(&folder.join("username")))?;
                complaints.check("REDIS_CREDENTIALS_DIR", read_secret(&folder.join("password")))?;
                // Read again for each connection: the operator changes the password now and then.
                complaints.check("REDIS_URL", Endpoint::with_credentials_in(&self.redis_url, folder.clone()))
            }
        }?;
        complaints.check("REDIS_CA", endpoint.trusting(authorities?))
    }

    fn linking(&self, complaints: &mut Complaints) -> Option<Linking> {
        match (self.link_method, self.link_phone.as_deref().filter(|phone| !phone.is_empty())) {
            (LinkMethod::QrCode, _) => Some(Linking::Qr),
            (LinkMethod::PairingCode, Some(phone)) => {
                complaints.check("LINK_PHONE", phone.parse::<Phone>()).map(Linking::Pairing)
            }
            (LinkMethod::PairingCode, None) => {
                complaints.require("LINK_PHONE", false, "is needed when LINK_METHOD is PairingCode");
                None
            }
        }
    }

    fn proxy(&self) -> Result<Option<String>, String> {
        let Some(file) = self.proxy_url_file.as_ref().filter(|file| file.exists()) else { return Ok(None) };
        let url = read_secret(file)?;
        // Chromium ignores credentials in --proxy-server, and a command line is readable by everybody in the pod.
        let known = ["http://", "https://", "socks4://", "socks5://"].iter().any(|scheme| url.starts_with(scheme));
        if known && !url.contains(['@', ' ']) {
            Ok(Some(url))
        } else {
            Err("must be http://, https://, socks4:// or socks5:// with host and port and without credentials".into())
        }
    }
}

/// How long the browser may take to close by itself when the pod ends. With the steps after it (see
/// [`crate::engine::Pace`]) and the outbox' last try this stays far below the pod's 45 s.
pub const CLOSE_GRACE: Duration = Duration::from_secs(10);

fn fits_holder(uid: &str) -> bool {
    (1..=128).contains(&uid.len()) && !uid.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_complaints_come_at_once() {
        let arguments = Arguments::parse_from([
            "session-pod",
            "--connection-id=x",
            "--company-id=-",
            "--pod-uid=",
            "--redis-url=nonsense",
            "--redis-ca=/etc/redis/ca.pem",
            "--page-dir=/nowhere",
            "--browser=/nowhere",
            "--browser-args=--single-process",
            "--link-method=PairingCode",
            "--send-gap-ms=fast",
            "--outbox-bytes=1",
            "--page-patience-ms=1",
            "--log-format=xml",
        ]);
        let complaints = arguments.judge().err().expect("everything is wrong");
        let all = complaints.all().join("\n");
        for name in [
            "CONNECTION_ID",
            "COMPANY_ID",
            "POD_UID",
            "REDIS_URL",
            "REDIS_CA",
            "LINK_PHONE",
            "SEND_GAP_MS",
            "OUTBOX_BYTES",
            "PAGE_PATIENCE_MS",
            "LOG_FORMAT",
            "PAGE_DIR",
            "BROWSER:",
            "BROWSER_ARGS",
        ] {
            assert!(all.contains(name), "{name} is missing in:\n{all}");
        }
    }
}
