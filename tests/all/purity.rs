//! The core depends on nothing that reads a clock, an environment, a socket or a random source.

use std::process::Command;

/// What no build of the core may drag in.
const IMPURE: [&str; 12] = [
    "async-std",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tracing",
    "ureq",
];

fn crates_of(features: &str) -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let arguments =
        ["tree", "--locked", "--offline", "--package", "grantflow-core", "--edges", "normal", "--prefix", "none"];
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(arguments)
        .args(["--no-default-features", "--features", features, "--format", "{p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_core_drags_in_nothing_that_does_input_or_output() {
    for features in ["", "rust-crypto", "aws-lc-rs"] {
        let crates = crates_of(features);
        assert!(crates.iter().any(|name| name == "url"), "the tree was not read: {crates:?}");
        let impure: Vec<_> = crates.iter().filter(|name| IMPURE.contains(&name.as_str())).collect();
        assert!(impure.is_empty(), "with features `{features}`: {impure:?}");
    }
}

/// The external types in the core's signatures are those of `http`, `url` and `serde`, so little else is there at all.
#[test]
fn the_core_without_a_provider_brings_thirty_crates_at_the_most() {
    let mut crates = crates_of("");
    crates.retain(|name| name != "grantflow-core");
    crates.sort();
    crates.dedup();
    assert!(crates.len() <= 30, "{} crates: {crates:?}", crates.len());
    println!("figure: dependencies/grantflow-core without a provider = {} crates", crates.len());
}
