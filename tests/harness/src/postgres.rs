//! A PostgreSQL server for the test process, and an empty database for each test that asks. `initdb` runs once a
//! machine: its result is kept in the cache and copied, so that a server is there in half a second.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{process::Command, sync::OnceCell, time::timeout};

use crate::{
    ports,
    server::{Recipe, Server, as_user},
};

const COMMAND: Duration = Duration::from_mins(1);
/// The server refuses to run as root; where the tests do, it runs as the user that Debian's package made.
const USER: &str = "postgres";

static SHARED: OnceCell<Postgres> = OnceCell::const_new();

/// A running PostgreSQL; it ends when dropped, a shared one with the test process.
pub struct Postgres {
    programs: PathBuf,
    user: Option<&'static str>,
    directory: PathBuf,
    port: u16,
    databases: AtomicU32,
    server: Option<Server>,
}

impl Postgres {
    /// The one server of this test process, started when first asked for.
    ///
    /// # Panics
    /// See [`Postgres::start`].
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// A server of the test's own, for a test that does it harm.
    ///
    /// # Panics
    /// When it does not start; PostgreSQL must be installed (`make deps`).
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start() -> Self {
        let programs = programs().expect("PostgreSQL's programs in /usr/lib/postgresql (`make deps`)");
        let user = is_root().await.then_some(USER);
        let directory = data_directory(&programs, user).await.expect("a data directory");
        let port = ports::free_block();
        let databases = AtomicU32::new(0);
        let mut postgres = Self { programs, user, directory, port, databases, server: None };
        postgres.resume().await;
        postgres
    }

    /// Ends it at once, whoever is connected, and keeps its data: nobody listens on the port until [`Postgres::resume`].
    ///
    /// # Panics
    /// When it does not end.
    #[expect(clippy::expect_used, reason = "a test that cannot take its server away has failed")]
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.expect("postgres ends");
        }
    }

    /// Starts it again, with its data.
    ///
    /// # Panics
    /// When it does not start.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn resume(&mut self) {
        if self.server.is_some() {
            return;
        }
        let program = |name: &str| self.programs.join(name).display().to_string();
        // Nothing here is to survive a crash; small buffers, since several servers may run side by side.
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=32MB",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ];
        let mut command = vec![program("postgres"), "-D".to_owned(), self.directory.join("data").display().to_string()];
        command.extend(["-p".to_owned(), self.port.to_string()]);
        command.extend(settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
        // INT: it ends at once, whoever is connected, with everything on disk, and frees its shared memory.
        let recipe =
            Recipe { directory: &self.directory, user: self.user, signal: "INT", command, environment: Vec::new() };
        let mut server = Server::start(recipe).expect("postgres starts");
        let is_ready = self.programs.join("pg_isready");
        let port = self.port.to_string();
        server.ready(async || run(&is_ready, ["-q", "-h", "127.0.0.1", "-p", &port]).await).await;
        self.server = Some(server);
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// When it cannot be created.
    #[expect(clippy::expect_used, reason = "a test without its database has failed")]
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", USER, &name];
        run(self.programs.join("createdb"), arguments).await.expect("createdb");
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }
}

/// While it runs the guard of the server deletes the directory; while it is stopped nobody else would.
impl Drop for Postgres {
    fn drop(&mut self) {
        if self.server.is_none() {
            // A directory that is left in /tmp fails no test.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The programs of the newest installed version.
fn programs() -> io::Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.pop().map(|(_, path)| path).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A directory with `data` in it, as `initdb` leaves it, owned by `user`.
async fn data_directory(programs: &Path, user: Option<&str>) -> Result<PathBuf, String> {
    let directory = directory_of(user).await?;
    let template = cache().join(format!("initdb{}", programs.display()).replace('/', "-"));
    if !template.exists() {
        initialise(programs, user, &template).await?;
    }
    // With its owner and its mode (0700), on which the server insists.
    run("cp", [Path::new("-a"), &template, &directory.join("data")]).await?;
    Ok(directory)
}

/// Made aside and renamed, since two test processes may find it missing at once; the later one's is thrown away.
async fn initialise(programs: &Path, user: Option<&str>, template: &Path) -> Result<(), String> {
    let aside = directory_of(user).await?;
    let data = aside.join("data");
    let mut command = as_user(user);
    command.push("--".to_owned());
    command.extend([programs.join("initdb"), "-D".into(), data.clone()].map(|part| part.display().to_string()));
    command.extend(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"].map(str::to_owned));
    run("setpriv", command).await?;
    run("mkdir", [Path::new("-p"), &cache()]).await?;
    let candidate = template.with_extension(process::id().to_string());
    run("cp", [Path::new("-a"), &data, &candidate]).await?;
    let renamed = fs::rename(&candidate, template).map_err(|error| error.to_string());
    run("rm", [Path::new("-rf"), &aside, &candidate]).await?;
    if template.exists() { Ok(()) } else { renamed }
}

async fn directory_of(user: Option<&str>) -> Result<PathBuf, String> {
    let directory =
        tempfile::Builder::new().prefix("harness-postgres-").tempdir().map_err(|error| error.to_string())?;
    let path = directory.keep();
    if let Some(user) = user {
        run("chown", [Path::new(&format!("{user}:")), &path]).await?;
    }
    Ok(path)
}

/// `$WAC_CACHE/harness`, as the Makefile has it.
fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/whatsapp-operator");
    env::var_os("WAC_CACHE").map_or_else(home, PathBuf::from).join("harness")
}

async fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().await;
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

async fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Result<(), String> {
    let name = program.as_ref().display().to_string();
    let mut command = Command::new(program);
    // A directory that any user may stand in.
    let command = command.args(arguments).stdin(Stdio::null()).current_dir("/").kill_on_drop(true);
    match timeout(COMMAND, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr))),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name} took longer than {COMMAND:?}")),
    }
}
