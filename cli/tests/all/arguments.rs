//! What may and may not be typed.

use crate::support::{Running, SECRET, command, honest, run, secret_file};

#[test]
fn cl_01_no_option_takes_a_secret_and_none_that_was_typed_is_repeated() {
    let lines = [
        "token client-credentials --issuer https://as.example --client-id x --client-secret canary-typed",
        "token client-credentials --issuer https://as.example --client-id x --client-secret=canary-typed",
        "token refresh --issuer https://as.example --client-id x --refresh-token canary-typed",
        "token client-credentials --issuer https://as.example --client-id x --client-secret-env canary-typed",
        "token grant urn:x --issuer https://as.example --client-id x --secret-param assertion=canary-typed",
        "token grant urn:x --issuer https://as.example --client-id x --secret-param-env assertion=canary-typed",
        "token grant urn:x --issuer https://as.example --client-id x --secret-param-env canary-typed",
        "login --issuer https://as.example --client-id x --password canary-typed",
    ];
    for line in lines {
        let ran = run(line);
        assert!(matches!(ran.code, Some(2 | 10)), "{line}: {ran:?}");
        assert_eq!(ran.out, "");
        assert!(!ran.err.contains("canary-typed"), "{line}: {}", ran.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn cl_01_neither_the_command_line_nor_the_address_shows_the_secret_while_it_is_used() {
    let server = honest();
    let line = format!("login --no-browser --issuer {} --client-id demo-service --scope openid", server.issuer());
    let path = secret_file(SECRET);
    let mut command = command(line.split_whitespace());
    let mut running = Running::start(command.arg("--client-secret-file").arg(&path));
    let address = running.address();
    assert!(!address.contains(SECRET));
    let process = format!("/proc/{}", running.child.id());
    for file in ["cmdline", "environ"] {
        let text = std::fs::read(format!("{process}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(SECRET), "{file}");
    }
    running.type_line(&crate::support::sent_back_to(&address));
    running.ended().printed();
}

#[test]
fn what_does_not_go_together_is_a_usage_error() {
    let base = "--issuer https://as.example --client-id x";
    let lines = [
        format!("login {base} --device --no-browser"),
        format!("login {base} --no-browser --form-post"),
        format!("login {base} --no-browser --client-secret-stdin"),
        format!("login {base} --client-secret-stdin --client-secret-env S"),
        format!("login {base} --port 1 --redirect-uri http://127.0.0.1/callback"),
        format!("login {base} --output id-token"),
        format!("login {base} --timeout 0"),
        format!("login {base} --redirect-uri https://app.example/callback"),
        format!("login {base} --redirect-uri http://127.0.0.1.evil.example/callback"),
        format!("login {base} --id-token-alg none"),
        format!("token refresh {base}"),
        format!("token refresh {base} --refresh-token-stdin --client-secret-stdin"),
        "serve --fault nonsense".to_owned(),
        "nonsense".to_owned(),
        String::new(),
    ];
    for line in lines {
        let ran = run(&line);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{line}: {ran:?}");
        assert!(!ran.err.is_empty(), "{line}");
    }
}
