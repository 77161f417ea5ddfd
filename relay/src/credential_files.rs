//! Credentials in the files of a mounted Secret, which the kubelet replaces under a running process.

use std::fs;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use redis::auth::{BasicAuth, StreamingCredentialsProvider};
use redis::{ErrorKind, RedisError, RedisResult};

use crate::acl::Credentials;

/// How often the files are looked at. The kubelet takes up to two minutes to bring a new Secret, so this adds little.
const LOOK: Duration = Duration::from_secs(10);

/// A folder with the files `username` and `password`.
#[derive(Clone)]
pub(crate) struct CredentialFiles(Arc<PathBuf>);

impl CredentialFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(Arc::new(folder))
    }

    /// What stands there now. Two small files in memory: no reason to leave the thread.
    pub(crate) fn read(&self) -> RedisResult<Credentials> {
        let text = |name: &str| {
            let path = self.0.join(name);
            let text = fs::read_to_string(&path).unwrap_or_default();
            let text = text.trim_end_matches(['\n', '\r']).to_owned();
            if text.is_empty() { Err(unreadable(&path.display().to_string())) } else { Ok(text) }
        };
        Ok(Credentials::new(text("username")?, text("password")?))
    }
}

fn unreadable(path: &str) -> RedisError {
    (ErrorKind::AuthenticationFailed, "no credentials", format!("{path} is missing or empty")).into()
}

impl StreamingCredentialsProvider for CredentialFiles {
    /// What stands there now, and then whatever else comes to stand there. Each connection has a stream of its own and
    /// logs in again with each item.
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        Box::pin(stream::unfold((self.clone(), None::<Credentials>), |(files, mut known)| async move {
            loop {
                let first = known.is_none();
                if !first {
                    tokio::time::sleep(LOOK).await;
                }
                match files.read() {
                    Ok(now) if known.as_ref() == Some(&now) => {}
                    Ok(now) => {
                        let login = BasicAuth::new(now.user.clone(), now.password().to_owned());
                        return Some((Ok(login), (files, Some(now))));
                    }
                    // Ends the attempt to connect, which is made again.
                    Err(error) if first => {
                        known = Some(Credentials::new(String::new(), String::new()));
                        return Some((Err(error), (files, known)));
                    }
                    // The connection there is goes on as whom it logged in.
                    Err(_) => {}
                }
            }
        }))
    }
}
