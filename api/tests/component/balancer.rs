//! What a Service and its kube-proxy do, as small as it goes: each connection to one of the replicas that said they were
//! ready at the last look.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::replica::Replica;

/// How often readiness is looked at: the kubelet's own period is 10 s at most and the drain longer than that, here both
/// are a hundredth.
const LOOK: Duration = Duration::from_millis(100);

/// Longest wait for an answer.
const PROBE: Duration = Duration::from_millis(500);

type Replicas = Arc<Mutex<Vec<Arc<Replica>>>>;

pub struct Balancer {
    pub base: String,
    behind: Replicas,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Balancer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (behind, ready) = (Replicas::default(), Arc::new(Mutex::new(Vec::<String>::new())));
        let look = tokio::spawn({
            let (behind, ready) = (Arc::clone(&behind), Arc::clone(&ready));
            async move {
                let mut looks = interval(LOOK);
                loop {
                    looks.tick().await;
                    let replicas = behind.lock().unwrap().clone();
                    let mut now = Vec::new();
                    for replica in replicas {
                        // As probes do, it waits for none of them for long.
                        if timeout(PROBE, replica.readiness()).await.is_ok_and(|ready| ready.is_ok()) {
                            now.push(replica.base.strip_prefix("http://").unwrap().to_owned());
                        }
                    }
                    *ready.lock().unwrap() = now;
                }
            }
        });
        let accept = tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut client, _)) = listener.accept().await {
                turn += 1;
                let to = {
                    let ready = ready.lock().unwrap();
                    if ready.is_empty() {
                        continue;
                    }
                    ready[turn % ready.len()].clone()
                };
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { base, behind, tasks: [look, accept] }
    }

    pub fn add(&self, replica: &Arc<Replica>) {
        self.behind.lock().unwrap().push(Arc::clone(replica));
    }

    pub fn remove(&self, replica: &Arc<Replica>) {
        self.behind.lock().unwrap().retain(|one| !Arc::ptr_eq(one, replica));
    }
}
