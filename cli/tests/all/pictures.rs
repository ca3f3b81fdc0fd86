//! What needs no server: pictures, completions, help.

use grantflow_core::TABLES;

use crate::support::run;

#[test]
fn every_flow_is_drawn_in_every_format() {
    for table in TABLES {
        let flow = table.machine;
        let draw = |format: &str| run(&format!("diagram {flow} --format {format}"));
        assert_eq!(draw("mermaid").out, table.mermaid());
        assert_eq!(draw("dot").out, table.dot());
        let svg = draw("svg");
        assert!(svg.printed().starts_with("<svg ") && svg.printed().ends_with("</svg>"));
        assert_eq!(svg.err, "");
    }
}

#[test]
fn a_flow_that_does_not_exist_is_a_usage_error_that_names_those_that_do() {
    let ran = run("diagram nonsense");
    assert!(ran.failed(2).contains("authorization-code"));
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&format!("completions {shell}"));
        assert!(ran.printed().contains("client-credentials"), "{shell}");
        assert_eq!(ran.err, "");
    }
}

#[test]
fn help_goes_to_standard_output_and_lists_the_exit_codes() {
    for line in ["--help", "demo --help", "login --help", "token --help", "discover --help", "serve --help"] {
        let ran = run(line);
        assert!(ran.printed().contains("  130  interrupted") || line == "token --help", "{line}");
        assert_eq!(ran.err, "");
    }
    assert_eq!(run("--version").printed(), format!("grantflow {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_faults_of_the_server_are_listed() {
    let ran = run("serve --list-faults");
    assert!(ran.printed().lines().any(|line| line.starts_with("issuer-mismatch ")));
}
