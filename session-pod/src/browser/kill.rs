//! SIGKILL for every child, by `/proc` alone: without the list of [`super::reaper::Children`], whose lock is held while a
//! program is started, which a disk may delay for ever.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Kills the children, each with its process group. The browser leads one of its own, with all its processes in it.
pub fn children() {
    let mine = std::process::id();
    // 0 when it is outside of the pod's namespace, which rustix' `getpgrp` does not bear.
    let my_group =
        std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| family(&stat)).map(|(_, group)| group);
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(pid) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((parent, group)) = family(&stat) else { continue };
        if u32::try_from(parent) != Ok(mine) {
            continue;
        }
        // Who is gone meanwhile needs no signal.
        let _ = kill_process(pid, Signal::KILL);
        if let Some(group) = Pid::from_raw(group).filter(|_| my_group.is_some_and(|mine| mine != group)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn pid(name: &str) -> Option<Pid> {
    name.parse().ok().and_then(Pid::from_raw)
}

/// Parent and group: `pid (name) state parent group …`; the name may hold spaces and parentheses.
fn family(stat: &str) -> Option<(i32, i32)> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_and_group_are_read_whatever_the_name() {
        assert_eq!(family("7 (a) b) S 1 5 7 0"), Some((1, 5)));
        assert_eq!(family("7 (a) S"), None);
        assert_eq!(family(""), None);
    }
}
