//! A server process and the shell that guards it. The guard reads a pipe whose other end only this process holds: when
//! that closes (the handle is dropped, or the test process ends in whatever way), it ends the server and deletes its
//! directory. Should the guard itself die, the kernel ends the server.
//!
//! Not `PR_SET_PDEATHSIG` alone: it fires when the *thread* that spawned a process ends, and a test is a thread.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::eventually;

/// Generous, for a machine whose cores are all compiling.
const START: Duration = Duration::from_mins(1);
/// Longer than the ten seconds after which the guard loses its patience.
const STOP: Duration = Duration::from_secs(15);
const LOG_LINES: usize = 10;

/// `$1` signal that ends the server in good order, `$2` its directory, then options of setpriv and the command.
/// A line on the pipe ends the server and keeps the directory; a server that ended by itself leaves its directory too,
/// with the log that says why.
const GUARD: &str = r#"
signal=$1 directory=$2
shift 2
exec 3<&0 >>"$directory/log" 2>&1
setpriv --pdeathsig KILL "$@" </dev/null 3<&- &
server=$!
while kill -0 "$server"; do
    read -r -t 0.2 keep <&3 && break
    (($? > 128)) || { closed=1; break; }
done 2>/dev/null
{
    kill -s "$signal" "$server"
    for ((i = 0; i < 1000; i++)); do kill -0 "$server" && sleep 0.01 || break; done
    kill -s KILL "$server"
} 2>/dev/null
[[ -z ${closed-} ]] || rm -rf -- "$directory"
"#;

/// What to run, and how to end it.
pub(crate) struct Recipe<'a> {
    /// The server's own directory; its output goes to `log` in it.
    pub directory: &'a Path,
    /// The user it runs as, where that is not the one who runs the tests.
    pub user: Option<&'a str>,
    /// The signal on which it ends in good order.
    pub signal: &'a str,
    /// Program and arguments.
    pub command: Vec<String>,
    /// What the program finds in its environment besides the tests' own.
    pub environment: Vec<(&'static str, String)>,
}

/// A running server. Dropping it ends it, a moment later.
pub(crate) struct Server {
    guard: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts it; whether it got ready is for [`Server::ready`] to say.
    pub(crate) fn start(recipe: Recipe<'_>) -> io::Result<Self> {
        let guard = Command::new("bash")
            .args(["-c", GUARD, "guard", recipe.signal])
            .arg(recipe.directory)
            .args(as_user(recipe.user))
            .arg("--")
            .args(&recipe.command)
            .envs(recipe.environment)
            .stdin(Stdio::piped())
            // Ctrl-C in a terminal goes to the whole group: the guard must outlive the tests to tidy up after them.
            .process_group(0)
            .spawn()?;
        let name = recipe.command.into_iter().next().unwrap_or_default();
        Ok(Self { guard, name, log: recipe.directory.join("log") })
    }

    /// Waits until `probe` says the server is ready.
    ///
    /// # Panics
    /// When the server ends before that, or takes too long; with the end of its log.
    #[expect(clippy::panic, reason = "a test without its server has failed")]
    pub(crate) async fn ready(&mut self, probe: impl AsyncFn() -> Result<(), String>) {
        let Self { guard, name, log } = self;
        let what = format!("{name} to be ready");
        let outcome = eventually(START, &what, async || match guard.try_wait() {
            Ok(None) => match probe().await {
                Ok(()) => Ok(Ok(())),
                Err(seen) => Err(format!("{seen}; its log ends with:\n{}", tail(log))),
            },
            ended => Ok(Err(format!(
                "{name} ended at once ({ended:?}); its log {} ends with:\n{}",
                log.display(),
                tail(log)
            ))),
        });
        if let Err(failure) = outcome.await {
            panic!("{failure}")
        }
    }

    /// Ends the server in good order, waits for that, and keeps its directory.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        if let Some(pipe) = &mut self.guard.stdin {
            pipe.write_all(b"keep\n")?;
        }
        let what = format!("{} to end", self.name);
        eventually(STOP, &what, async || match self.guard.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        Ok(())
    }
}

/// What `setpriv` needs to run a program as that user.
pub(crate) fn as_user(user: Option<&str>) -> Vec<String> {
    user.map(|name| vec![format!("--reuid={name}"), format!("--regid={name}"), "--init-groups".to_owned()])
        .unwrap_or_default()
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(LOG_LINES);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}
