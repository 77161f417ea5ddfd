//! The browser's command line. Pure. No `--no-sandbox` and no redirection here: whoever needs one says so in the
//! operator's settings.

use std::path::Path;

/// What every session needs, and why where it is not in the name.
const ALWAYS: [&str; 18] = [
    "--headless",
    "--disable-gpu",
    "--disable-accelerated-2d-canvas",
    "--no-first-run",
    "--no-default-browser-check",
    // Nothing leaves the pod but what the page sends.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    // There is no keyring in a pod.
    "--password-store=basic",
    // A page that nobody looks at must go on working.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--disable-blink-features=AutomationControlled",
    "--disk-cache-size=67108864",
    "--lang=en-US",
    "--remote-debugging-port=0",
];

/// What settings may not bring in: it would open the account to others or take the profile or the steering away.
const REFUSED: [&str; 8] = [
    "--single-process",
    "--disable-web-security",
    "--ignore-certificate-errors",
    "--user-data-dir",
    "--remote-debugging-port",
    "--remote-debugging-pipe",
    "--remote-debugging-address",
    "--remote-allow-origins",
];

/// Bytes of /dev/shm with which a page of WhatsApp's size does not crash. Pods have 64 MiB unless more is mounted.
const ENOUGH_SHARED_MEMORY: u64 = 200 * 1024 * 1024;

/// The zygote sets up the sandbox: without a sandbox it is a process for nothing, with one Chromium insists on it.
const NO_SANDBOX: &str = "--no-sandbox";

/// The whole command line. `shared_memory`: size of /dev/shm in bytes.
#[must_use]
pub fn arguments(
    profile: &Path,
    user_agent: Option<&str>,
    proxy: Option<&str>,
    shared_memory: u64,
    further: &[String],
) -> Vec<String> {
    let mut all: Vec<String> = ALWAYS.map(str::to_owned).into();
    all.push(format!("--user-data-dir={}", profile.display()));
    // Then it uses the folder for temporary files, which is slower and as large as the node's disk.
    if shared_memory < ENOUGH_SHARED_MEMORY {
        all.push("--disable-dev-shm-usage".to_owned());
    }
    // On the command line, so that workers and service workers have it too.
    all.extend(user_agent.map(|agent| format!("--user-agent={agent}")));
    all.extend(proxy.map(|proxy| format!("--proxy-server={proxy}")));
    all.extend_from_slice(further);
    if further.iter().any(|argument| argument == NO_SANDBOX) {
        all.push("--no-zygote".to_owned());
    }
    all.push("about:blank".to_owned());
    all
}

/// Separates arguments at spaces and newlines. A word that does not begin with `--` belongs to the argument before it,
/// as in `--host-resolver-rules=MAP one two`.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut arguments: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match arguments.last_mut() {
            _ if word.starts_with("--") => arguments.push(word.to_owned()),
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => return Err(format!("{word:?} does not begin with --")),
        }
    }
    let name = |argument: &str| argument.split_once('=').map_or(argument, |(name, _)| name).to_owned();
    match arguments.iter().map(|argument| name(argument)).find(|name| REFUSED.contains(&name.as_str())) {
        Some(name) => Err(format!("{name} is not allowed")),
        None => Ok(arguments),
    }
}

/// The user agent of an ordinary Chromium of this version on Linux, in Chromium's own reduced form. Headless Chromium
/// names itself `HeadlessChrome`, which WhatsApp answers with "update your browser".
#[must_use]
pub fn user_agent(version: &str) -> Option<String> {
    let major = version.split(['.', ' ']).find_map(|part| part.parse::<u32>().ok())?;
    Some(format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_spaces_inside_stay_whole() {
        let parsed = parse("--no-sandbox --host-resolver-rules=MAP web.whatsapp.com 127.0.0.1:1\n--x=1").expect("good");
        assert_eq!(parsed, ["--no-sandbox", "--host-resolver-rules=MAP web.whatsapp.com 127.0.0.1:1", "--x=1"]);
        assert_eq!(parse("").expect("good"), Vec::<String>::new());
    }

    #[test]
    fn what_would_open_the_account_is_refused() {
        for bad in ["--single-process", "--ignore-certificate-errors", "--user-data-dir=/x", "no-dashes"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("--ignore-certificate-errors-spki-list=abc=").is_ok());
    }

    #[test]
    fn the_zygote_goes_only_with_the_sandbox() {
        let line = |further: &str| arguments(Path::new("/p"), None, None, 0, &parse(further).expect("good")).join(" ");
        assert!(!line("").contains("zygote") && !line("").contains("sandbox"));
        assert!(line("--no-sandbox").contains("--no-zygote"));
    }

    #[test]
    fn the_shared_memory_of_a_plain_pod_is_not_used() {
        let line = |size| arguments(Path::new("/p"), None, None, size, &[]).join(" ");
        assert!(line(64 << 20).contains("--disable-dev-shm-usage"));
        assert!(!line(256 << 20).contains("--disable-dev-shm-usage"));
    }

    #[test]
    fn the_user_agent_is_that_of_an_ordinary_browser() {
        let agent = user_agent("Chromium 156.0.8078.79 built on Debian").expect("a version");
        assert!(agent.contains("Chrome/156.0.0.0") && !agent.contains("Headless"), "{agent}");
        assert_eq!(user_agent("nothing"), None);
    }
}
