//! CPU time of whole exchanges over loopback. Prints lines of `loopback/who<TAB>nanoseconds`.
//!
//!     loopback [ROUNDS [EXCHANGES]]      a server, and every contender in turn, each in a process of its own
//!     loopback serve                     the server alone
//!     loopback run WHO PORT EXCHANGES    one contender, one round
//!     loopback bare ISSUER               metadata, then a token, which is printed: the least a command could do
//!     loopback with COMMAND ARGUMENTS    a server, and a command beside it; {issuer} in an argument stands for its issuer

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use grantflow_bench::loopback::{CLIENTS, bare, measure, serve};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => serve(|port| println!("{port}")).expect("a loopback server"),
        ["run", who, port, count] => {
            let time = measure(who, port.parse().expect("a port"), count.parse().expect("a count"));
            println!("{}", time.as_nanos());
        }
        ["bare", issuer] => println!("{}", bare(issuer)),
        ["with", command, arguments @ ..] => {
            let server = Server::start();
            let issuer = format!("http://127.0.0.1:{}", server.port);
            let arguments = arguments.iter().map(|argument| argument.replace("{issuer}", &issuer));
            let status = Command::new(command).args(arguments).status().expect("a command");
            drop(server);
            std::process::exit(status.code().unwrap_or(1));
        }
        counts => {
            let number = |at: usize| counts.get(at).map(|text| text.parse().expect("a number"));
            all(number(0).unwrap_or(7), number(1).unwrap_or(40_000));
        }
    }
}

/// A server process, which ends with this value.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(myself());
        let mut child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut port).expect("its port");
        Self { child, port: port.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn myself() -> PathBuf {
    std::env::current_exe().expect("my own path")
}

/// The contenders take turns, so that a slow moment of the machine hits all of them; the best round counts.
fn all(rounds: usize, count: usize) {
    let server = Server::start();
    let mut best = CLIENTS.map(|who| (who, u128::MAX));
    for _ in 0..rounds {
        for (who, least) in &mut best {
            let output = Command::new(myself())
                .args(["run", *who, &server.port, &count.to_string()])
                .output()
                .expect("a client");
            let text = String::from_utf8_lossy(&output.stdout);
            let time: u128 = text.trim().parse().expect("a number of nanoseconds");
            *least = time.min(*least);
        }
    }
    for (who, nanoseconds) in best {
        println!("loopback/{who}\t{nanoseconds}");
    }
}
