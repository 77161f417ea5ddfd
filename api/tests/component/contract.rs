//! What holds for every route that is described, whoever wrote it: it is served, it is closed without a good token, and it
//! knows nothing of another company. What would be lost: one route that somebody forgot to close.

use relay::Event;
use serde_json::{Value, json};

use crate::description::{Ids, SOMEBODY, routes};
use crate::session::incoming;
use crate::world::{Company, SECRET, World, sign, token};

const NOBODY: &str = "0190a1b2-0000-7000-8000-000000000001";

#[tokio::test]
async fn every_described_route_is_served_and_no_other_method_is() {
    let world = World::start().await;
    let acme = world.company().await;
    let ids = Ids { connection: NOBODY, chat: NOBODY };
    let routes = routes();
    for route in &routes {
        let path = route.path_of(ids);
        let answer = acme.caller.with_key(&route.method, &path, None, route.body.clone()).await;
        let code = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["code"].clone();
        assert!(code != "route_not_found" && code != "method_not_allowed", "{}: {code}", answer.what);
    }
    for path in routes.iter().map(|route| &route.path) {
        let taken: Vec<_> = routes.iter().filter(|route| route.path == *path).map(|route| &*route.method).collect();
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            if !taken.contains(&method) {
                let answer = acme.caller.send(method, &path.replace("{id}", NOBODY), &[], "").await;
                answer.problem(405, "method_not_allowed");
                let allowed = answer.headers["allow"].to_str().unwrap();
                assert!(taken.iter().all(|method| allowed.contains(method)), "{}: {allowed}", answer.what);
            }
        }
    }
}

#[tokio::test]
async fn without_a_good_token_every_route_but_the_public_ones_is_closed() {
    let world = World::start().await;
    let (company, now) = ("acme", runtime::ambient::now().as_second());
    let good = token(company, 3600);
    let other_signature = sign("another secret, 32 bytes or longer", &json!({"companyId": company, "exp": now + 3600}));
    let tokens = [
        (None, "token_missing"),
        (Some("no token".to_owned()), "token_invalid"),
        (Some(token(company, -3600)), "token_expired"),
        (Some(other_signature), "token_invalid"),
        (Some(sign(SECRET, &json!({"companyId": company}))), "token_invalid"),
        (Some(sign(SECRET, &json!({"exp": now + 3600}))), "token_invalid"),
        (Some(format!("{good}x")), "token_invalid"),
    ];
    let (closed, public): (Vec<_>, Vec<_>) = routes().into_iter().partition(|route| !route.public);
    let open: Vec<_> = public.iter().map(|route| route.operation.as_str()).collect();
    assert_eq!(open, ["health", "describe"], "a route that is open to the world is listed here");
    for (token, code) in tokens {
        let caller = world.caller(token);
        for route in &closed {
            let path = route.path_of(Ids { connection: NOBODY, chat: NOBODY });
            let answer = caller.with_key(&route.method, &path, None, route.body.clone()).await;
            answer.problem(401, code);
            assert!(answer.headers.contains_key("www-authenticate"), "{}", answer.what);
        }
    }
    for route in &public {
        assert_eq!(world.caller(None).get(&route.path).await.status, 200, "{}", route.path);
    }
}

#[tokio::test]
async fn another_companys_ids_are_unknown_on_every_route() {
    let world = World::start().await;
    let (acme, globex) = (world.company().await, world.company().await);
    let (id, mut session) = world.connected(&acme).await;
    session.append(&Event::Message(incoming(&format!("{SOMEBODY}@c.us"), "3A01", "secret", 1))).await;
    let (connection, chat) = (id.to_string(), acme.only_chat(id).await["id"].as_str().unwrap().to_owned());
    let ids = Ids { connection: &connection, chat: &chat };
    let before = (everything(&world).await, acme.caller.get(&format!("/whatsapp/connections/{id}")).await.json(200));

    let its_own = audit(&globex).await;
    let mut without_id = Vec::new();
    for route in routes().iter().filter(|route| !route.public) {
        let Some(path) = route.of(ids) else {
            without_id.push(route.operation.clone());
            continue;
        };
        let answer = globex.caller.with_key(&route.method, &path, Some("k"), route.body.clone()).await;
        assert_eq!(answer.status, 404, "{} {}: {}", route.operation, answer.what, answer.text());
        assert!(!answer.text().contains("secret") && !answer.text().contains(&acme.id), "{}", answer.text());
    }
    without_id.sort();
    assert_eq!(
        without_id,
        ["createConnection", "listAudit", "listConnections"],
        "a route without an id is listed here, and below"
    );
    // What the first company did is not in the log of the second; that one's own attempts are, and none went well.
    let recorded = audit(&globex).await;
    let new = recorded.iter().filter(|entry| !its_own.contains(entry));
    let went_well: Vec<_> = new.clone().filter(|entry| entry["status"] != 404).collect();
    assert!(new.count() > 5 && went_well.is_empty(), "{went_well:?}");
    let list = globex.caller.get("/whatsapp/connections").await.json(200);
    assert_eq!(list, json!({"items": [], "nextCursor": null}));
    let made = globex.caller.post("/whatsapp/connections", json!({"name": "Sales", "companyId": acme.id})).await;
    assert!(resources(&world, &globex).await.contains(&made.json(201)["resourceName"].as_str().unwrap().to_owned()));

    let after = (everything(&world).await, acme.caller.get(&format!("/whatsapp/connections/{id}")).await.json(200));
    assert_eq!(after, before, "nothing of the first company was changed");
    assert_eq!(session.sends_waiting().await, 0);
}

async fn audit(company: &Company) -> Vec<Value> {
    company.caller.get("/whatsapp/audit?limit=200").await.json(200)["items"].as_array().unwrap().clone()
}

async fn resources(world: &World, company: &Company) -> Vec<String> {
    let all = world.resources(company).list(&kube::api::ListParams::default()).await.unwrap();
    all.items.into_iter().filter_map(|resource| resource.metadata.name).collect()
}

/// The rows that requests write, as the superuser sees them.
async fn everything(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["chats", "messages", "idempotency_keys"] {
        let query = sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1"));
        all.extend(sqlx::query_scalar::<_, String>(query).fetch_all(&world.database).await.unwrap());
    }
    all
}
