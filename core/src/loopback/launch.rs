//! How a browser is started: programs and arguments as plain data.

use url::{Host, Url};

/// A program and its arguments, to be started without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// The program, to be looked up in the path.
    pub program: &'static str,
    /// Its arguments; the URL is the last.
    pub arguments: Vec<String>,
}

/// Whether a browser may be sent to `url`: `https`, or `http` to a loopback host.
///
/// Anything else could start another program: `file:`, `ms-msdt:`, `javascript:`.
pub fn may_open(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => loopback,
        _ => false,
    }
}

/// The programs that may open `url` here, best first; none if [`may_open`] forbids it.
pub fn launchers(url: &Url) -> Vec<Launcher> {
    if !may_open(url) {
        return Vec::new();
    }
    let table: &[(&'static str, &[&str])] = if cfg!(target_os = "macos") {
        &[("open", &[])]
    } else if cfg!(windows) {
        // Not `cmd /c start`: that one reads `&` and `^` in the URL.
        &[("rundll32", &["url.dll,FileProtocolHandler"])]
    } else {
        &[("xdg-open", &[]), ("gio", &["open"]), ("wslview", &[])]
    };
    let launcher = |(program, before): &(&'static str, &[&str])| Launcher {
        program,
        arguments: before.iter().copied().chain([url.as_str()]).map(String::from).collect(),
    };
    table.iter().map(launcher).collect()
}
