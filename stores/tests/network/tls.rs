//! Servers that are reached through TLS, with a certificate of the tests' own.

use std::path::Path;
use std::time::Duration;

use grantflow_core::error::StoreFault;
use grantflow_core::store::Expected;
use grantflow_stores::{PostgresStore, RedisStore, Saved, Store};

use crate::holder::{Holder, is, key, write};
use crate::servers::{PASSWORD_IN_URL, Postgres, Redis};

const LEASE: Duration = Duration::from_secs(60);

/// A certificate that no system trusts, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A process that trusts the certificate gets through, this one does not.
fn only_who_trusts_gets_through(plain: &dyn Store, own: &dyn Store, url: &str, roots: &Path) {
    assert_eq!(plain.save(write(&key("held"), Expected::Absent, 1)).unwrap(), Saved::Done);
    let error = own.load(&key("held")).unwrap_err();
    assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
    let mut holder = Holder::start_with(url, LEASE, &[("SSL_CERT_FILE", roots)]);
    holder.writes();
    holder.hears("wrote Ok(Done)");
    holder.hears("released");
    holder.ends();
    assert_eq!(plain.save(write(&key("held"), is(2), 3)).unwrap(), Saved::Done);
}

#[test]
fn redis_is_reached_through_tls_if_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, private] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let (cert_text, key_text) = certificate();
    std::fs::write(&cert, cert_text).unwrap();
    std::fs::write(&private, key_text).unwrap();
    let Some(redis) = Redis::start(&[]) else { return };
    // Both at once, so that the tests can ask plainly.
    redis.ask(&[
        "CONFIG",
        "SET",
        "tls-cert-file",
        cert.to_str().unwrap(),
        "tls-key-file",
        private.to_str().unwrap(),
        "tls-ca-cert-file",
        cert.to_str().unwrap(),
        "tls-auth-clients",
        "no",
    ]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    redis.ask(&["CONFIG", "SET", "tls-port", &port.to_string()]);
    let url = format!("rediss://:{PASSWORD_IN_URL}@127.0.0.1:{port}/0");
    only_who_trusts_gets_through(&redis.store(), &RedisStore::connect(&url).unwrap(), &url, &cert);
}

#[test]
fn postgres_is_reached_through_tls_if_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let (cert_text, key_text) = certificate();
    std::fs::write(&roots, &cert_text).unwrap();
    let Some(postgres) = Postgres::start() else { return };
    let (cert, private) = (postgres.give("cert.pem", &cert_text), postgres.give("key.pem", &key_text));
    for (name, value) in
        [("ssl_cert_file", cert.to_str().unwrap()), ("ssl_key_file", private.to_str().unwrap()), ("ssl", "on")]
    {
        postgres.ask(&format!("alter system set {name} = '{value}'"));
    }
    postgres.ask("select pg_reload_conf()");
    let url = format!("{}?sslmode=require", postgres.url());
    only_who_trusts_gets_through(&postgres.store(), &PostgresStore::connect(&url).unwrap(), &url, &roots);
}
