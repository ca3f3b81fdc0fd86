//! Signals, streams that are closed or full, and the server as a process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Stdio;

use crate::support::{Ran, Running, command, get, honest, parameter, run};

fn login(more: &str) -> (grantflow_devserver::DevServer, Running) {
    let server = honest();
    let line = format!("login --issuer {} --client-id demo-app --scope openid {more}", server.issuer());
    let running = Running::start(&mut command(line.split_whitespace()));
    (server, running)
}

/// The exit code and the message; the rest of what was said does not matter.
fn interrupted(running: Running, signal: &str) -> Ran {
    running.signal(signal);
    running.ended()
}

#[test]
fn cl_08_an_interrupt_closes_the_listener_and_gives_130_a_termination_143() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (_server, mut running) = login("");
        let address = running.address();
        let back = parameter(&address, "redirect_uri").replace("%3A", ":").replace("%2F", "/");
        let host = back.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        assert!(TcpStream::connect(&host).is_ok());
        interrupted(running, signal).failed(code);
        assert!(TcpStream::connect(&host).is_err());
    }
}

#[test]
fn cl_08_an_interrupt_ends_a_prompt_a_device_and_a_server() {
    let (_server, mut running) = login("--no-browser");
    running.address();
    interrupted(running, "INT").failed(130);

    let (_server, mut running) = login("--device");
    running.line(|line| line.starts_with("Visit "));
    interrupted(running, "INT").failed(130);

    let mut running = Running::start(&mut command(["serve"]));
    let mut issuer = String::new();
    BufReader::new(running.child.stdout.as_mut().unwrap()).read_line(&mut issuer).unwrap();
    let ran = interrupted(running, "INT");
    assert_eq!(ran.code, Some(130));
    assert!(TcpStream::connect(issuer.trim().strip_prefix("http://").unwrap()).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn cl_07_a_full_or_closed_standard_output_is_a_failure() {
    let server = honest();
    let discover = format!("discover {}", server.issuer());
    for line in ["--version", "--help", "diagram device", "completions bash", "demo", "serve", &discover] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = command(line.split_whitespace()).stdout(full).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(9), "{line}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(line.split_whitespace()).stdout(writer).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(9), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn cl_07_a_closed_standard_error_changes_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command(["demo"]).stderr(full).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("device              ok"));
}

#[test]
fn serve_prints_its_issuer_and_one_line_for_each_request() {
    let mut running = Running::start(&mut command(["serve", "--auto-consent", "alice", "--fault", "token-500"]));
    let mut issuer = String::new();
    BufReader::new(running.child.stdout.as_mut().unwrap()).read_line(&mut issuer).unwrap();
    let issuer = issuer.trim();
    assert_eq!(run(&format!("discover {issuer}")).code, Some(0));
    assert_eq!(get(&format!("{issuer}/jwks?code=canary-code")).status, 200);
    running.line(|line| line.starts_with("GET /.well-known/openid-configuration -> 200"));
    let line = running.line(|line| line.starts_with("GET /jwks"));
    assert!(line.contains("code=[hidden]") && !line.contains("canary-code"), "{line}");
    assert_eq!(interrupted(running, "TERM").code, Some(143));
}

#[test]
fn a_server_for_a_user_who_does_not_exist_does_not_start() {
    assert!(run("serve --auto-consent nobody").failed(10).contains("nobody"));
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    run(&format!("serve --port {}", held.local_addr().unwrap().port())).failed(9);
}
