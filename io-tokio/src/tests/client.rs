//! The flows end to end, against an authorization server of a few lines.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::endpoint::Introspected;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::error::{Advice, Error, SecurityError};
use grantflow_core::jose::SignatureAlgorithm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::listener::{browse, status};
use super::{NOW, request, server};
use crate::{Browser, Client, Clock, Driver, HyperClient, ManualClock, Pending, Server};

/// Answers as an honest server would, and remembers what it was asked.
async fn authorization_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let asked = log.clone();
    let polls = Arc::new(Mutex::new(0));
    let address = server(move |_, mut stream| {
        let (asked, polls) = (asked.clone(), polls.clone());
        async move {
            loop {
                let head = request(&mut stream).await;
                let Some(path) = head.split(' ').nth(1) else { return };
                let header = |name: &str| {
                    let line = head.lines().find(|line| line.to_lowercase().starts_with(name));
                    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value).to_owned()
                };
                let issuer = format!("http://{}", header("host"));
                let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
                stream.read_exact(&mut body).await.unwrap();
                let body = String::from_utf8(body).unwrap();
                asked.lock().unwrap().push(format!("{path} {body}"));
                let (code, answer) = match path {
                    "/.well-known/openid-configuration" => (
                        200,
                        format!(
                            r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/authorize",
                            "token_endpoint":"{issuer}/token","device_authorization_endpoint":"{issuer}/device",
                            "introspection_endpoint":"{issuer}/introspect","revocation_endpoint":"{issuer}/revoke",
                            "response_types_supported":["code"],"code_challenge_methods_supported":["S256"],
                            "token_endpoint_auth_methods_supported":["client_secret_post","none"],
                            "introspection_endpoint_auth_methods_supported":["client_secret_post","none"],
                            "revocation_endpoint_auth_methods_supported":["client_secret_post","none"],
                            "authorization_response_iss_parameter_supported":true}}"#
                        ),
                    ),
                    "/device" => (
                        200,
                        format!(
                            r#"{{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"{issuer}/activate",
                            "expires_in":600,"interval":5}}"#
                        ),
                    ),
                    "/token"
                        if body.contains("device_code") && std::mem::replace(&mut *polls.lock().unwrap(), 1) == 0 =>
                    {
                        (400, r#"{"error":"authorization_pending"}"#.into())
                    }
                    "/token" if body.contains("refresh_token=old") => (400, r#"{"error":"invalid_grant"}"#.into()),
                    "/token" => (
                        200,
                        r#"{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r"}"#.into(),
                    ),
                    "/introspect" => (200, r#"{"active":true,"client_id":"me"}"#.into()),
                    "/revoke" => (200, String::new()),
                    _ => (404, String::new()),
                };
                let head = format!(
                    "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
                     Content-Length: {}\r\n\r\n",
                    answer.len()
                );
                stream.write_all((head + &answer).as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (format!("http://{address}"), log)
}

async fn discovered(issuer: &str) -> (Server, ManualClock) {
    let clock = ManualClock::jumping(NOW);
    let driver = Driver::with_client(HyperClient::default()).with_clock(clock.clone());
    (Server::discover(driver, issuer).await.unwrap(), clock)
}

/// A browser with a person who agrees to everything at once.
struct Agreeing(Arc<Mutex<String>>);

impl Browser for Agreeing {
    fn open(&self, url: &Url) -> Pending<'static, bool> {
        let find = |name: &str| url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
        let mut callback = Url::parse(&find("redirect_uri").unwrap()).unwrap();
        let issuer = url.origin().ascii_serialization();
        callback.query_pairs_mut().append_pair("code", "c/1+2").append_pair("iss", &issuer);
        callback.query_pairs_mut().append_pair("state", &find("state").unwrap());
        assert_eq!(find("code_challenge_method").as_deref(), Some("S256"));
        let page = self.0.clone();
        tokio::spawn(async move {
            let answer = browse(callback.as_str()).await;
            *page.lock().unwrap() = answer;
        });
        Box::pin(async { true })
    }
}

#[tokio::test]
async fn a_public_client_logs_in_and_refreshes() {
    let (issuer, log) = authorization_server().await;
    let client = discovered(&issuer).await.0.public("me").unwrap();
    let page = Arc::new(Mutex::new(String::new()));
    let person = client.person(grantflow_core::loopback::ResponseMode::Query).await.unwrap();
    let person = person.with_browser(Agreeing(page.clone()));
    let tokens = client.login_with(person, |request| request.scope("read")).await.unwrap();
    assert_eq!(tokens.access_token().expose(), "a");
    assert_eq!(status(&page.lock().unwrap()), 200);
    let renewed = client.refresh(&tokens).await.unwrap();
    assert!(renewed.refresh_token().is_some());
    let log = log.lock().unwrap();
    assert!(log[1].starts_with("/token ") && log[1].contains("code=c%2F1%2B2") && log[1].contains("code_verifier="));
    assert!(log[2].contains("grant_type=refresh_token") && log[2].contains("refresh_token=r"), "{log:?}");
    assert_eq!(log.len(), 3);
}

#[tokio::test]
async fn a_device_is_logged_in_after_a_pause() {
    let (issuer, log) = authorization_server().await;
    let (server, clock) = discovered(&issuer).await;
    let mut shown = String::new();
    let client = server.public("me").unwrap();
    let tokens = client.device_login("read", |code| shown.push_str(code.user_code.expose())).await.unwrap();
    assert_eq!((tokens.access_token().expose().as_str(), shown.as_str()), ("a", "WDJB-MJHT"));
    assert_eq!(log.lock().unwrap().len(), 4, "metadata, code, two polls");
    assert!(clock.now() >= NOW.plus(Duration::from_secs(10)), "the clock was waited on, not the wall");
}

#[tokio::test]
async fn a_confidential_client_gets_a_token_of_its_own_asks_about_it_and_revokes_it() {
    let (issuer, log) = authorization_server().await;
    let client = discovered(&issuer).await.0.confidential("me", Secret::from("s3cret")).unwrap();
    let tokens = client.client_credentials("read").await.unwrap();
    let told = client.introspect(tokens.access_token(), TokenKind::Access).await.unwrap();
    assert!(matches!(told, Introspected::Active(active) if active.client_id().as_deref() == Some("me")));
    let algorithms = [SignatureAlgorithm::Es256];
    let unsigned = client.introspect_signed(tokens.access_token(), TokenKind::Access, &algorithms).await;
    assert_eq!(unsigned.unwrap_err(), Error::Security(SecurityError::Unsigned));
    client.revoke(tokens.access_token(), TokenKind::Access).await.unwrap();
    assert!(matches!(client.userinfo(&tokens).await.unwrap_err(), Error::Config(_)), "there is no identity");
    let log = log.lock().unwrap();
    assert!(log[1..].iter().all(|asked| asked.contains("client_secret=s3cret")), "{log:?}");
    let paths: Vec<_> = log.iter().map(|asked| asked.split(' ').next().unwrap()).collect();
    assert_eq!(paths[1..], ["/token", "/introspect", "/introspect", "/revoke"]);
}

#[tokio::test]
async fn the_servers_refusal_is_the_error() {
    let (issuer, _) = authorization_server().await;
    let client = discovered(&issuer).await.0.public("me").unwrap();
    let request = grantflow_core::grant::refresh::RefreshRequest::new(Secret::from("old"));
    let mut flow = grantflow_core::grant::Refresh::new(client.registered(), request).unwrap();
    let event = grantflow_core::machine::Event::Start;
    assert_eq!(client.driver().clock().now(), NOW, "it is the driver that was given");
    let error = client.driver().run(&mut flow, event, &mut crate::Nobody).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.is("invalid_grant")), "{error}");
    assert_eq!(error.advice(), Advice::LogInAgain);
}

#[tokio::test]
async fn what_the_calls_give_can_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    let (issuer, _) = authorization_server().await;
    let client = discovered(&issuer).await.0.public("me").unwrap();
    is_send(Client::discover("https://as.example"));
    is_send(client.login("read"));
    is_send(client.device_login("read", |_| {}));
    is_send(client.client_credentials("read"));
}
