//! CPU time of whole exchanges over loopback. Prints lines of `loopback/who<TAB>nanoseconds`.
//!
//!     loopback [ROUNDS [EXCHANGES]]      a server, and every contender in turn, each in a process of its own
//!     loopback serve                     the server alone
//!     loopback run WHO PORT EXCHANGES    one contender, one round

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use grantflow_bench::loopback::{CLIENTS, measure, serve};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => serve(|port| println!("{port}")).expect("a loopback server"),
        ["run", who, port, count] => {
            let time = measure(who, port.parse().expect("a port"), count.parse().expect("a count"));
            println!("{}", time.as_nanos());
        }
        counts => {
            let number = |at: usize| counts.get(at).map(|text| text.parse().expect("a number"));
            all(number(0).unwrap_or(7), number(1).unwrap_or(40_000));
        }
    }
}

/// The contenders take turns, so that a slow moment of the machine hits all of them; the best round counts.
fn all(rounds: usize, count: usize) {
    let me = std::env::current_exe().expect("my own path");
    let mut server =
        Command::new(&me).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
    let mut port = String::new();
    BufReader::new(server.stdout.take().expect("its output")).read_line(&mut port).expect("its port");

    let mut best = CLIENTS.map(|who| (who, u128::MAX));
    for _ in 0..rounds {
        for (who, least) in &mut best {
            let output =
                Command::new(&me).args(["run", *who, port.trim(), &count.to_string()]).output().expect("a client");
            let text = String::from_utf8_lossy(&output.stdout);
            let time: u128 = text.trim().parse().expect("a number of nanoseconds");
            *least = time.min(*least);
        }
    }
    for (who, nanoseconds) in best {
        println!("loopback/{who}\t{nanoseconds}");
    }
    drop(server.stdin.take());
    let _ = server.wait();
}
