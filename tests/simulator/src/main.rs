//! The simulator as a process: `simulator --tls-dir DIR`, or `simulator spki --tls-dir DIR` for the key to trust.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use simulator::{Simulator, SimulatorSettings};
use tokio::signal::unix::{SignalKind, signal};

/// Stands in for WhatsApp: serves the page at --listen, and a control API that plays the phones at --control.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where key.pem and cert.pem are; they are made when they are not there.
    #[arg(long, global = true, env = "TLS_DIR", default_value = "tls")]
    tls_dir: PathBuf,
    /// Address of the page, TLS.
    #[arg(long, default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Address of the control API, plain HTTP.
    #[arg(long, default_value = "0.0.0.0:8081")]
    control: SocketAddr,
    /// Seconds for which a QR code is shown.
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u64).range(1..))]
    qr_seconds: u64,
    /// QR codes that are shown until the page stops and waits to be refreshed.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    qr_codes: u32,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the key to trust, for Chromium's --ignore-certificate-errors-spki-list.
    Spki,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    if let Some(Command::Spki) = cli.command {
        return Ok(writeln!(std::io::stdout(), "{}", simulator::spki_of(&cli.tls_dir)?)?);
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut simulator = Simulator::start(SimulatorSettings {
        listen: cli.listen,
        control: cli.control,
        tls_dir: Some(cli.tls_dir),
        qr_lifetime: Duration::from_secs(cli.qr_seconds),
        qr_codes: cli.qr_codes,
    })
    .await?;
    let (page, control) = (simulator.page_addr(), simulator.control_url());
    tracing::info!(%page, %control, spki = simulator.spki(), "simulator runs");

    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        error = simulator.ended() => Err(error.into()),
    }
}
