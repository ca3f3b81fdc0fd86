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

/// What the adapters drag in, and nobody else is to have.
const ADAPTERS: [&str; 4] = ["http-body-util", "reqwest", "tower-http", "tower-layer"];

fn crates_of(package: &str, features: &str) -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let arguments = ["tree", "--locked", "--offline", "--package", package, "--edges", "normal", "--prefix", "none"];
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
        let crates = crates_of("grantflow-core", features);
        assert!(crates.iter().any(|name| name == "url"), "the tree was not read: {crates:?}");
        let impure: Vec<_> = crates.iter().filter(|name| IMPURE.contains(&name.as_str())).collect();
        assert!(impure.is_empty(), "with features `{features}`: {impure:?}");
    }
}

/// The external types in the core's signatures are those of `http`, `url` and `serde`, so little else is there at all.
#[test]
fn the_core_without_a_provider_brings_thirty_crates_at_the_most() {
    let mut crates = crates_of("grantflow-core", "");
    crates.retain(|name| name != "grantflow-core");
    crates.sort();
    crates.dedup();
    assert!(crates.len() <= 30, "{} crates: {crates:?}", crates.len());
    println!("figure: dependencies/grantflow-core without a provider = {} crates", crates.len());
}

#[test]
fn what_an_adapter_drags_in_comes_with_its_feature_only() {
    for (package, feature, own) in [
        ("grantflow-tokio", "", None),
        ("grantflow-tokio", "tower", Some("tower-layer")),
        ("grantflow-tokio", "reqwest", Some("reqwest")),
        ("grantflow-blocking", "", None),
        ("grantflow-blocking", "middleware", None),
    ] {
        let mut crates = crates_of(package, feature);
        crates.sort();
        crates.dedup();
        let adapters: Vec<_> = crates.iter().filter(|name| ADAPTERS.contains(&name.as_str())).collect();
        assert_eq!(own.is_some(), !adapters.is_empty(), "{package} with `{feature}`: {adapters:?}");
        assert!(own.is_none_or(|own| crates.iter().any(|name| name == own)), "{package} with `{feature}`: {crates:?}");
        let with = if feature.is_empty() { "alone".to_owned() } else { format!("with {feature}") };
        println!("figure: dependencies/{package} {with} = {} crates", crates.len());
    }
}
