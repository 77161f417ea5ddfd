//! The audit log, and the limit of requests. What would be lost: the answer to "who did that?", and one company's loop that
//! is everybody's trouble.

use relay::Event;
use serde_json::Value;

use crate::description::{Ids, SOMEBODY, routes};
use crate::http::Caller;
use crate::replica::Replica;
use crate::session::incoming;
use crate::world::{Company, World, token};

async fn entries(company: &Company) -> Vec<Value> {
    company.caller.get("/whatsapp/audit?limit=200").await.json(200)["items"].as_array().unwrap().clone()
}

/// Whichever route it is: a new one that changes something is recorded without being told to.
#[tokio::test]
async fn every_request_that_would_change_something_is_recorded_with_how_it_went() {
    let world = World::start().await;
    let (acme, globex) = (world.company().await, world.company().await);
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(&format!("{SOMEBODY}@c.us"), "3A01", "secret", 1))).await;
    let (connection, chat) = (id.to_string(), acme.only_chat(id).await["id"].as_str().unwrap().to_owned());
    let ids = Ids { connection: &connection, chat: &chat };
    let mut changing: Vec<_> = routes().into_iter().filter(|route| route.method != "GET").collect();
    // What takes the connection offline comes after what needs it.
    changing.sort_by_key(|route| (route.operation == "logout", route.method == "DELETE", route.path.len()));
    assert!(changing.len() > 5);
    for route in &changing {
        for caller in [&globex, &acme] {
            let path = route.path_of(ids);
            let answer = caller.caller.with_key(&route.method, &path, None, route.body.clone()).await;
            let newest = entries(caller).await.swap_remove(0);
            assert_eq!(newest["action"], format!("{} {}", route.method, route.path), "{newest}");
            assert_eq!(newest["status"], answer.status.as_u16(), "{newest}");
            assert_eq!(newest["subject"], "ana");
            assert_eq!(newest["requestId"], answer.headers["x-request-id"].to_str().unwrap());
            let target = route.of(ids).map(|path| path.split('/').nth(3).unwrap().to_owned());
            assert_eq!(newest["target"].as_str().map(str::to_owned), target, "{newest}");
        }
    }
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT to_jsonb(a)::text FROM audit a").fetch_all(&world.database).await.unwrap();
    assert!(kept.iter().all(|entry| !entry.contains("hello") && !entry.contains(SOMEBODY)), "{kept:?}");
}

#[tokio::test]
async fn a_company_that_asks_too_much_is_told_when_to_go_on_and_others_are_served() {
    let world = World::start().await;
    let program = Replica::start(&world, &[("RATE_LIMIT", "10")]).await;
    let of = |company: &str| Caller::new(&program.base, Some(token(company, 3600)));
    let (loops, other) = (of("acme"), of("globex"));
    let mut refused = None;
    for _ in 0..200 {
        let answer = loops.get("/whatsapp/connections").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("it is slower than its limit");
    refused.problem(429, "rate_limited");
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    assert_eq!(other.get("/whatsapp/connections").await.status, 200);
    harness::eventually(crate::world::SOON, "the company to be served again", async || {
        match loops.get("/whatsapp/connections").await.status.as_u16() {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

/// More than one transaction removes. What would be lost: the disk, to what is of no use to anybody any more.
#[tokio::test]
async fn what_is_old_goes_however_much_it_is() {
    let world = World::start().await;
    let old = "INSERT INTO audit (company_id, at, action, status, request_id) \
               SELECT 'acme', now() - interval '91 days', 'x', 200, 'r' || n FROM generate_series(1, 10001) n; \
               INSERT INTO audit (company_id, at, action, status, request_id) \
               VALUES ('acme', now() - interval '89 days', 'x', 200, 'kept'); \
               INSERT INTO idempotency_keys (company_id, key, fingerprint, created_at) \
               SELECT 'acme', 'k' || n, '', now() - interval '25 hours' FROM generate_series(1, 10001) n; \
               INSERT INTO idempotency_keys (company_id, key, fingerprint, created_at) \
               VALUES ('acme', 'kept', '', now() - interval '23 hours')";
    sqlx::raw_sql(old).execute(&world.database).await.unwrap();
    harness::eventually(crate::world::SOON, "the old to be gone", async || {
        let left = "SELECT (SELECT array_agg(request_id) FROM audit), (SELECT array_agg(key) FROM idempotency_keys)";
        let left: (Vec<String>, Vec<String>) = sqlx::query_as(left).fetch_one(&world.database).await.unwrap();
        if left.0 == ["kept"] && left.1 == ["kept"] {
            return Ok(());
        }
        Err(format!("{} entries and {} keys", left.0.len(), left.1.len()))
    })
    .await;
}
