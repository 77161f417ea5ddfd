//! The browser's process: started by us in a process group of its own, waited for by us, and ended step by step. Its
//! output is drained for ever, or it would stop at a full pipe.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use super::reaper::{Children, Owned};
use super::{flags, profile};
use crate::settings::BrowserSettings;

/// For `--version`, which takes 0.1 s.
const VERSION: Duration = Duration::from_secs(10);

/// After SIGKILL a process is gone at once, unless the kernel holds it in a disk that hangs.
const KILLED: Duration = Duration::from_secs(5);

/// What Chromium writes before the address.
const LISTENING: &str = "DevTools listening on ";

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program cannot be started.
    #[error("cannot start the browser: {0}")]
    Spawn(#[from] std::io::Error),
    /// It ended before it listened.
    #[error("the browser ended at once ({status}); its last words: {words}")]
    Ended {
        /// How.
        status: String,
        /// The last line that it wrote.
        words: String,
    },
    /// It did not say where it listens.
    #[error("the browser did not get ready in time")]
    Silent,
}

/// A running browser. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    /// Until the address was read from it.
    output: Option<BufReader<ChildStderr>>,
    start: Duration,
    _owned: Owned,
}

impl Process {
    /// Starts the browser, and does not wait for it.
    pub fn spawn(settings: &BrowserSettings, user_agent: Option<&str>, children: &Children) -> std::io::Result<Self> {
        let (proxy, further) = (settings.proxy.as_deref(), &settings.arguments);
        let arguments = flags::arguments(&settings.profile, user_agent, proxy, shared_memory(), further);
        let mut command = command(settings);
        command.args(arguments).process_group(0).stderr(Stdio::piped());
        let (mut child, owned) = children.spawn(&mut command)?;
        let group = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| std::io::Error::other("no pid"))?;
        let stderr = child.stderr.take().ok_or_else(|| std::io::Error::other("no standard error"))?;
        Ok(Self { child, group, output: Some(BufReader::new(stderr)), start: settings.start, _owned: owned })
    }

    /// The address of its `DevTools`, which it says once, when it is ready.
    pub async fn address(&mut self) -> Result<String, LaunchError> {
        let Some(mut output) = self.output.take() else { return Err(LaunchError::Silent) };
        match tokio::time::timeout(self.start, address(&mut output)).await {
            Err(_) => Err(LaunchError::Silent),
            Ok(Ok(address)) => {
                tokio::spawn(drain(output));
                Ok(address)
            }
            Ok(Err(words)) => {
                // Its output ended, so it ends.
                let status = tokio::time::timeout(Duration::from_secs(1), self.wait()).await;
                let status = status.ok().flatten().map_or("still there".to_owned(), |status| status.to_string());
                Err(LaunchError::Ended { status, words })
            }
        }
    }

    /// Waits until the browser itself has ended. Its children may live on until [`Process::signal`] or the drop.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Ends what is left of the group, without a chance to write anything, and waits for that.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        if tokio::time::timeout(KILLED, self.wait()).await.is_err() {
            tracing::error!("the browser outlives SIGKILL");
        }
    }

    /// Signals the whole group. Nothing happens when nobody is left in it.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// What the browser answers when asked for its version, such as `Chromium 156.0.8078.79`.
pub async fn version(settings: &BrowserSettings, children: &Children) -> Option<String> {
    let mut command = command(settings);
    command.arg("--version").stdout(Stdio::piped()).stderr(Stdio::null());
    let (child, _owned) = children.spawn(&mut command).ok()?;
    let output = tokio::time::timeout(VERSION, child.wait_with_output()).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Size of /dev/shm in bytes; where there is none, nothing can be used.
fn shared_memory() -> u64 {
    rustix::fs::statvfs("/dev/shm").map_or(0, |volume| volume.f_blocks.saturating_mul(volume.f_frsize))
}

/// With an environment of its own: nothing of ours is the browser's business, and the root file system is read-only.
fn command(settings: &BrowserSettings) -> Command {
    let (home, temporary) = (profile::home(&settings.scratch), profile::temporary(&settings.scratch));
    let below = |name: &str| Path::new(&home).join(name);
    let mut command = Command::new(&settings.program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("XDG_CONFIG_HOME", below("config"))
        .env("XDG_CACHE_HOME", below("cache"))
        .env("XDG_DATA_HOME", below("data"))
        .env("XDG_RUNTIME_DIR", &temporary)
        .env("TMPDIR", &temporary)
        .env("HOME", &home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The address, or the last line before the output ended.
async fn address(output: &mut (impl AsyncBufRead + Unpin)) -> Result<String, String> {
    let mut last = String::new();
    while let Some(line) = line(output).await {
        if let Some((_, address)) = line.split_once(LISTENING) {
            return Ok(address.trim().to_owned());
        }
        last = line;
    }
    Err(last)
}

/// Until the output ends. A line of the page's console is not for our log: it may hold numbers and texts.
async fn drain(mut output: impl AsyncBufRead + Unpin) {
    while let Some(line) = line(&mut output).await {
        if !line.contains(":CONSOLE") {
            tracing::debug!(target: "browser", "{line}");
        }
    }
}

/// The next line, whatever bytes are in it.
async fn line(output: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let read = output.read_until(b'\n', &mut line).await.ok()?;
    (read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_that_are_no_text_do_not_end_the_output() {
        let mut output: &[u8] = b"caf\xe9\nDevTools listening on ws://127.0.0.1:1/x\nlast\xff";
        assert_eq!(address(&mut output).await.as_deref(), Ok("ws://127.0.0.1:1/x"));
        assert_eq!(address(&mut output).await, Err("last\u{fffd}".to_owned()));
    }
}
