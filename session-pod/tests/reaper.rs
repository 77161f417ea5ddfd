//! As an init process the pod must not collect zombies. In a process of its own, because it waits for children that are
//! not its own to wait for.

use std::time::Duration;

use harness::eventually;
use rustix::process::{getpid, set_child_subreaper};
use session_pod::browser::reaper::{self, Children};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn orphans_are_reaped_and_own_children_are_left_to_their_starter() {
    // Orphans below this process become its children, as they do below an init.
    set_child_subreaper(Some(getpid())).expect("allowed");
    let (children, stop) = (Children::default(), CancellationToken::new());
    let task = tokio::spawn(reaper::run(children.clone(), stop.clone()));

    // A shell that leaves ten processes behind, each of which ends after it.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.3; exit 3) & done; exit 7";
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let (mut child, _owned) = children.spawn(&mut command).expect("starts");
    assert_eq!(child.wait().await.expect("is ours to wait for").code(), Some(7));

    eventually(Duration::from_secs(20), "no child that is left", async || match own_children() {
        left if left.is_empty() => Ok(()),
        left => Err(left.join(" | ")),
    })
    .await;
    stop.cancel();
    task.await.expect("no panic").expect("reaped");
}

#[cfg(test)]
fn own_children() -> Vec<String> {
    let mine = format!(" {} ", std::process::id());
    std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.get(1..).is_some_and(|r| r.starts_with(&mine)))
        })
        .collect()
}
