//! The harness must be trustworthy before anything tested with it is: servers start, come back with what they had, and
//! never outlive the test process.

use std::{env, fs, net::TcpStream, path::Path, process::Command, time::Duration};

use harness::{ControlPlane, Postgres, Redis, eventually};
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
        CustomResourceDefinitionVersion, CustomResourceValidation, JSONSchemaProps,
    },
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, ObjectMeta},
};
use sqlx::{Connection as _, PgConnection};

const SOON: Duration = Duration::from_secs(20);

async fn nobody_listens(port: u16) {
    eventually(SOON, &format!("port {port} to be closed"), async || match TcpStream::connect(("127.0.0.1", port)) {
        Ok(_) => Err("it accepts connections"),
        Err(_) => Ok(()),
    })
    .await;
}

#[tokio::test]
async fn eventually_gives_the_value_it_waited_for() {
    let mut looks = 0;
    let value = eventually(SOON, "the third look", async || {
        looks += 1;
        if looks == 3 { Ok(looks) } else { Err("not yet") }
    })
    .await;
    assert_eq!(value, 3);
}

#[tokio::test]
#[should_panic(expected = "in vain for a miracle; last seen: only rain")]
async fn eventually_says_what_it_saw() {
    eventually(Duration::from_millis(60), "a miracle", async || Err::<(), _>("only rain")).await;
}

#[tokio::test]
#[should_panic(expected = "the first look did not come back")]
async fn eventually_ends_a_probe_that_hangs() {
    eventually(Duration::from_millis(60), "an answer", async || std::future::pending::<Result<(), String>>().await)
        .await;
}

#[tokio::test]
async fn redis_comes_back_with_its_data_and_users() {
    let mut server = Redis::start().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for words in [
        vec!["SET", "name", "value"],
        vec!["ACL", "SETUSER", "guest", "on", ">password", "~*", "+get"],
        vec!["ACL", "SAVE"],
    ] {
        redis::cmd(words[0]).arg(&words[1..]).query_async::<()>(&mut connection).await.unwrap();
    }

    server.stop().await;
    nobody_listens(server.port()).await;
    server.resume().await;

    let guest = redis::Client::open(format!("redis://guest:password@127.0.0.1:{}/", server.port())).unwrap();
    let mut connection = guest.get_multiplexed_async_connection().await.unwrap();
    let value: String = redis::cmd("GET").arg("name").query_async(&mut connection).await.unwrap();
    assert_eq!(value, "value");

    let directory = server.directory().to_owned();
    server.stop().await;
    drop(server);
    assert!(!directory.exists(), "a stopped server leaves {directory:?}");
}

#[tokio::test]
async fn a_dropped_server_ends() {
    let server = Redis::start().await;
    let port = server.port();
    drop(server);
    nobody_listens(port).await;
}

#[tokio::test]
async fn each_database_is_its_own() {
    let server = Postgres::shared().await;
    for url in [server.database().await, server.database().await] {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        // Refused, if both were the same.
        sqlx::raw_sql("CREATE TABLE only_once ()").execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn the_control_plane_serves_namespaces_and_new_resources() {
    let server = ControlPlane::shared().await;
    let client = server.client().await;
    let labels = [("whatsapp-operator.dev/company", "acme")];
    let (one, other) = (server.namespace(&client, labels).await, server.namespace(&client, labels).await);
    assert_ne!(one, other);
    let seen = Api::<Namespace>::all(client.clone()).get(&one).await.unwrap();
    assert_eq!(seen.metadata.labels.unwrap()["whatsapp-operator.dev/company"], "acme");

    server.install(&client, &definition()).await;
    let things = ApiResource::from_gvk(&GroupVersionKind::gvk("harness.test", "v1", "Thing"));
    let things: Api<DynamicObject> = Api::namespaced_with(client, &one, &things);
    assert!(things.list(&ListParams::default()).await.unwrap().items.is_empty());
}

fn definition() -> CustomResourceDefinition {
    CustomResourceDefinition {
        metadata: ObjectMeta { name: Some("things.harness.test".to_owned()), ..Default::default() },
        spec: CustomResourceDefinitionSpec {
            group: "harness.test".to_owned(),
            names: CustomResourceDefinitionNames {
                kind: "Thing".to_owned(),
                plural: "things".to_owned(),
                ..Default::default()
            },
            scope: "Namespaced".to_owned(),
            versions: vec![CustomResourceDefinitionVersion {
                name: "v1".to_owned(),
                served: true,
                storage: true,
                schema: Some(CustomResourceValidation {
                    open_api_v3_schema: Some(JSONSchemaProps {
                        type_: Some("object".to_owned()),
                        ..Default::default()
                    }),
                }),
                ..Default::default()
            }],
            ..Default::default()
        },
        status: None,
    }
}

const VICTIM: &str = "HARNESS_VICTIM";

/// A test process that is killed (time-out, out of memory, Ctrl-C) must not leave servers behind.
#[tokio::test]
async fn a_killed_process_leaves_no_server() {
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("port");
    let mut process =
        Command::new(env::current_exe().unwrap()).args(["--exact", "victim"]).env(VICTIM, &told).spawn().unwrap();
    let port = eventually(SOON, "the victim's server", async || {
        let text = fs::read_to_string(&told).map_err(|error| error.to_string())?;
        text.parse::<u16>().map_err(|error| error.to_string())
    })
    .await;
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    process.kill().unwrap();
    process.wait().unwrap();
    nobody_listens(port).await;
}

/// Not a test by itself: the process that the one above kills.
#[tokio::test]
async fn victim() {
    let Some(path) = env::var_os(VICTIM) else { return };
    let server = Redis::start().await;
    fs::write(Path::new(&path).with_extension("new"), server.port().to_string()).unwrap();
    fs::rename(Path::new(&path).with_extension("new"), path).unwrap();
    std::future::pending::<()>().await;
}
