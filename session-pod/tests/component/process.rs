//! The program itself, as it runs in its container: the first process of a namespace, so that everything in it dies
//! with it, with its admin server, and with mounts of its own where a test wants them. Needs root.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use harness::eventually;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::world::{SHORT, World, stat};

/// What a pod is given to end in (`terminationGracePeriodSeconds`).
pub const GRACE: Duration = Duration::from_secs(45);

const PROGRAM: &str = env!("CARGO_BIN_EXE_session-pod");

/// A running pod.
pub struct Process {
    namespace: Child,
    /// Of the pod itself, unless it had ended before anybody looked.
    pid: Option<i32>,
    admin: SocketAddr,
    log: PathBuf,
}

/// How it is started beyond what every pod is given.
#[derive(Default)]
pub struct Start<'a> {
    /// Shell that runs first, in its mount namespace, with the volume as `$VOLUME`.
    pub before: &'a str,
    /// Further arguments.
    pub arguments: &'a [String],
    /// Further environment.
    pub environment: &'a [(&'static str, String)],
}

impl World {
    /// A pod as a process, on the volume `volume`.
    pub async fn process(&self, uid: &str) -> Process {
        self.start(uid, &Start::default()).await
    }

    pub async fn start(&self, uid: &str, start: &Start<'_>) -> Process {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, harness::free_block()));
        let log = self.folder.path().join(format!("{uid}.log"));
        let output = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let script = format!("set -e; {}\nexec \"$@\"", start.before);
        let mut namespace = Command::new("unshare")
            .args(["--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c", &script, "sh", PROGRAM])
            .args(self.command_line(uid, "volume").into_iter().skip(1))
            .arg(format!("--admin-address={admin}"))
            .args(start.arguments)
            .env("VOLUME", self.volume())
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .expect("unshare starts");
        let outer = namespace.id().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
        // Its only child is the shell, which becomes the pod.
        let pid = eventually(SHORT, "the pod's process", async || {
            let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap_or_default();
            match (children.trim().parse::<i32>(), namespace.try_wait()) {
                (Ok(pid), _) => Ok(Some(pid)),
                (Err(_), Ok(Some(_))) => Ok(None),
                (Err(error), _) => Err(error),
            }
        })
        .await;
        Process { namespace, pid, admin, log }
    }

    pub fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }
}

impl Process {
    /// Nothing happens when it has ended meanwhile.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGTERM; gives the exit code, and how long it took.
    pub async fn end(self) -> (Option<i32>, Duration) {
        let begin = tokio::time::Instant::now();
        self.signal(Signal::TERM);
        (self.exit().await.code(), begin.elapsed())
    }

    /// SIGKILL, as for a container that is out of memory; when this returns all its processes are gone.
    pub async fn kill(self) {
        self.signal(Signal::KILL);
        self.exit().await;
    }

    /// Waits until it ends.
    pub async fn exit(mut self) -> ExitStatus {
        let Ok(status) = tokio::time::timeout(GRACE, self.namespace.wait()).await else {
            panic!("the pod does not end; its log:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        };
        status.expect("waited")
    }

    /// Of the pod itself.
    pub fn pid(&self) -> i32 {
        self.pid.expect("it had ended before anybody looked")
    }

    /// A path as the pod sees it: with the mounts of its own.
    pub fn path(&self, path: &std::path::Path) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.pid(), path.display()))
    }

    /// Status and text of a page of its admin server; nothing while it does not listen.
    pub async fn get(&self, page: &str) -> Option<(u16, String)> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.admin).await.ok()?;
            stream.write_all(format!("GET {page} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
        };
        tokio::time::timeout(Duration::from_secs(2), exchange).await.ok().flatten()
    }

    /// Waits until a page answers with this status and a text that holds this one.
    pub async fn answers(&self, page: &str, status: u16, text: &str) {
        eventually(SHORT, &format!("{page} to answer {status} {text}"), async || match self.get(page).await {
            Some((seen, body)) if seen == status && body.contains(text) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// Whether it is there and no zombie.
    pub fn lives(&self) -> bool {
        stat(self.pid()).is_some_and(|stat| stat.state != 'Z')
    }
}
