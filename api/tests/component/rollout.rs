//! A new version of the API, replica by replica. What would be lost: requests of people who know nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;

use crate::balancer::Balancer;
use crate::http::Caller;
use crate::replica::Replica;
use crate::socket::Socket;
use crate::world::{World, token};

/// Twenty looks of the balancer; and whoever asks as fast as a machine can is never told to slow down.
const SETTINGS: &[(&str, &str)] = &[("DRAIN_SECONDS", "2"), ("RATE_LIMIT", "10000")];

#[tokio::test]
async fn no_request_fails_while_each_replica_is_replaced() {
    let mut world = World::without_api().await;
    let balancer = Balancer::start().await;
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let replica = Arc::new(Replica::start(&world, SETTINGS).await);
        balancer.add(&replica);
        replicas.push(replica);
    }
    world.base.clone_from(&replicas[0].base);
    let acme = world.company().await;
    let (id, _session) = world.connected(&acme).await;

    let (done, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
            let caller = Caller::new(&balancer.base, Some(token(&acme.id, 3600)));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Over connections that are kept, as proxies do; and something that writes.
                    let answer = if number == 0 {
                        let path = format!("/whatsapp/connections/{id}/messages");
                        let body = json!({"to": "5511999999999", "text": "hello"}).to_string();
                        caller.try_send("POST", &path, &[("content-type", "application/json")], body).await
                    } else {
                        caller.try_send("GET", "/whatsapp/connections", &[], "").await
                    };
                    let answer = answer.unwrap_or_else(|error| panic!("after {done:?} requests: {error:?}"));
                    assert!(answer.status.is_success(), "{}: {} {}", answer.what, answer.status, answer.text());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let progress = async |more: u32| {
        let before = done.load(Ordering::Relaxed);
        harness::eventually(crate::world::SOON, "requests to go on", async || match done.load(Ordering::Relaxed) {
            now if now >= before + more || callers.iter().any(tokio::task::JoinHandle::is_finished) => Ok(()),
            now => Err(now - before),
        })
        .await;
    };

    progress(50).await;
    for old in replicas {
        let mut socket = Socket::connect(&old.base, json!({"token": token(&acme.id, 3600)})).await.unwrap();
        // As the rolling update does with maxUnavailable 0: the new one first.
        let new = Arc::new(Replica::start(&world, SETTINGS).await);
        balancer.add(&new);
        progress(50).await;
        old.signal("TERM");
        tokio::join!(socket.closed(), progress(50));
        balancer.remove(&old);
        let mut old = owned(old).await;
        assert!(old.ended().await.success());
        progress(50).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    println!("{} requests, none failed", done.load(Ordering::Relaxed));
}

/// Out of the balancer, which may just be looking at it.
async fn owned(mut replica: Arc<Replica>) -> Replica {
    loop {
        match Arc::try_unwrap(replica) {
            Ok(replica) => return replica,
            Err(shared) => replica = shared,
        }
        tokio::task::yield_now().await;
    }
}

/// What tells everybody else to go elsewhere, while the port still serves.
#[tokio::test]
async fn a_replica_that_ends_says_so_first() {
    let world = World::without_api().await;
    let mut replica = Replica::start(&world, &[("DRAIN_SECONDS", "60")]).await;
    let caller = Caller::new(&replica.base, None);
    assert!(!caller.get("/health").await.headers.contains_key("connection"));
    replica.signal("TERM");
    harness::eventually(crate::world::SOON, "readiness to fail", async || match replica.readiness().await {
        Err(why) if why.contains("draining") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(caller.get("/health").await.headers["connection"], "close");
    assert!(replica.is_running());
    // Whoever asks twice does not want to wait.
    replica.signal("TERM");
    assert!(replica.ended().await.success());
}
