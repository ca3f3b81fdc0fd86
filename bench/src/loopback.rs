//! Whole client-credentials exchanges over loopback sockets, many at once, measured in CPU time of the client alone.
//!
//! The server is a process of its own that answers every request with the same bytes. A client process does so many
//! exchanges on one thread and prints what they cost it; nothing else runs in it.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use grantflow_core::Secret;
use grantflow_core::client::Authentication;
use grantflow_core::error::Endpoint;
use grantflow_core::grant::{ClientCredentials, Extras};
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::Event;
use grantflow_core::server::ServerMetadata;
use grantflow_tokio::{Driver, Nobody};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, Scope, TokenUrl,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use crate::inputs::{CLIENT_ID, CLIENT_SECRET};

/// How many exchanges are under way at any time.
pub const AT_ONCE: usize = 64;

/// The contenders, the limit first.
pub const CLIENTS: [&str; 3] = ["limit (hyper, pooled)", "oauth2 on hyper", "grantflow-tokio"];

/// Answers every request on a port of its own, which it hands to `ready`, until its standard input closes: a POST with
/// tokens, anything else with metadata.
///
/// # Errors
/// When the loopback address cannot be bound.
pub fn serve(ready: impl FnOnce(u16)) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (tokens, metadata): (Rc<str>, Rc<str>) = (tokens().into(), metadata(port).into());
        ready(port);
        let connections = async {
            loop {
                let (mut stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let (tokens, metadata) = (Rc::clone(&tokens), Rc::clone(&metadata));
                tokio::task::spawn_local(async move {
                    let mut seen = Vec::with_capacity(4096);
                    while stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
                        while let Some(length) = request(&seen) {
                            let answer = if seen.starts_with(b"POST ") { &tokens } else { &metadata };
                            seen.drain(..length);
                            if stream.write_all(answer.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        };
        LocalSet::new().run_until(connections).await
    })
}

fn answer(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn tokens() -> String {
    answer(
        r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,"scope":"read"}"#,
    )
}

fn metadata(port: u16) -> String {
    let issuer = format!("http://127.0.0.1:{port}");
    answer(&format!(
        r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/authorize","token_endpoint":"{issuer}/token","jwks_uri":"{issuer}/jwks","response_types_supported":["code"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}}"#
    ))
}

/// The length of the first request in `seen`, once it is whole.
fn request(seen: &[u8]) -> Option<usize> {
    let head = seen.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&seen[..head]).ok()?;
    let body = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    (seen.len() >= head + body).then_some(head + body)
}

/// Does `count` exchanges as `who` against the server at `port`; the CPU time of one.
///
/// # Panics
/// When an exchange fails or nobody has that name: a measurement without a result is worth nothing.
#[must_use]
pub fn measure(who: &str, port: u16, count: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(async {
        match who {
            "limit (hyper, pooled)" => {
                let limit = Rc::new(Limit::new(port));
                many(count, move || {
                    let limit = Rc::clone(&limit);
                    async move {
                        std::hint::black_box(limit.exchange().await);
                    }
                })
                .await
            }
            "oauth2 on hyper" => {
                let oauth2 = Rc::new(Oauth2::new(port));
                many(count, move || {
                    let oauth2 = Rc::clone(&oauth2);
                    async move { oauth2.exchange().await }
                })
                .await
            }
            "grantflow-tokio" => {
                let grantflow = Rc::new(Grantflow::new(port));
                many(count, move || {
                    let grantflow = Rc::clone(&grantflow);
                    async move { grantflow.exchange().await }
                })
                .await
            }
            _ => panic!("nobody is called {who}"),
        }
    }))
}

/// Warms the pool up, then runs `count` exchanges, 64 at once.
async fn many<F: Future<Output = ()> + 'static>(count: usize, exchange: impl Fn() -> F + Clone + 'static) -> Duration {
    let round = |each: usize| {
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let exchange = exchange.clone();
                tokio::task::spawn_local(async move {
                    for _ in 0..each {
                        exchange().await;
                    }
                })
            })
            .collect();
        async {
            for task in tasks {
                task.await.expect("an exchange");
            }
        }
    };
    round(4).await;
    let before = cpu();
    let each = count.div_ceil(AT_ONCE);
    round(each).await;
    (cpu() - before) / u32::try_from(each * AT_ONCE).unwrap_or(u32::MAX)
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

type Hyper = Client<HttpConnector, Full<Bytes>>;

fn hyper() -> Hyper {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "parsing them is the work")]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
    scope: Option<String>,
}

/// A form that is ready, a request by hand, a struct for the answer.
struct Limit {
    http: Hyper,
    uri: http::Uri,
    authorization: http::HeaderValue,
}

impl Limit {
    fn new(port: u16) -> Self {
        Self::at(&format!("http://127.0.0.1:{port}/token"))
    }

    fn at(endpoint: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        Self {
            http: hyper(),
            uri: endpoint.parse().expect("a URL"),
            authorization: format!("Basic {credentials}").parse().expect("a header"),
        }
    }

    async fn exchange(&self) -> Answer {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", "read")
            .finish();
        let request = http::Request::post(self.uri.clone())
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(http::header::AUTHORIZATION, self.authorization.clone())
            .body(Full::from(form))
            .expect("a request");
        let response = self.http.request(request).await.expect("a response");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).expect("an answer")
    }
}

/// The least that a command could do for one token: metadata, token, done.
///
/// # Panics
/// When there is no token.
#[must_use]
pub fn bare(issuer: &str) -> String {
    #[derive(Deserialize)]
    struct Metadata {
        token_endpoint: String,
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let http = hyper();
        let place: http::Uri = format!("{issuer}/.well-known/openid-configuration").parse().expect("a URL");
        let response = http.get(place).await.expect("a response");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let metadata: Metadata = serde_json::from_slice(&body).expect("metadata");
        Limit { http, ..Limit::at(&metadata.token_endpoint) }.exchange().await.access_token
    })
}

type TokenClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

struct Oauth2 {
    http: Hyper,
    client: TokenClient,
}

impl Oauth2 {
    fn new(port: u16) -> Self {
        let client = BasicClient::new(ClientId::new(CLIENT_ID.to_owned()))
            .set_client_secret(ClientSecret::new(CLIENT_SECRET.to_owned()))
            .set_auth_type(AuthType::BasicAuth)
            .set_token_uri(TokenUrl::new(format!("http://127.0.0.1:{port}/token")).expect("a URL"));
        Self { http: hyper(), client }
    }

    async fn exchange(&self) {
        let send = |request: HttpRequest| async {
            let response = self.http.request(request.map(Full::from)).await.expect("a response");
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("a body").to_bytes().to_vec();
            Ok::<HttpResponse, Infallible>(http::Response::from_parts(parts, body))
        };
        let request = self.client.exchange_client_credentials().add_scope(Scope::new("read".to_owned()));
        std::hint::black_box(request.request_async(&send).await.expect("tokens"));
    }
}

/// The tokio driver as it comes.
struct Grantflow {
    driver: Driver,
    client: grantflow_core::client::Client,
}

impl Grantflow {
    fn new(port: u16) -> Self {
        let origin = format!("http://127.0.0.1:{port}");
        let server = ServerMetadata::by_hand(&origin, UrlPolicy::default())
            .and_then(|server| server.with_endpoint(Endpoint::Token, &format!("{origin}/token")))
            .expect("a server");
        let client = grantflow_core::client::Client::builder(server, CLIENT_ID)
            .authentication(Authentication::SecretBasic(Secret::from(CLIENT_SECRET)))
            .build()
            .expect("a client");
        Self { driver: Driver::new(), client }
    }

    async fn exchange(&self) {
        let mut flow = ClientCredentials::new(&self.client, "read", &Extras::default()).expect("a flow");
        let tokens = self.driver.run(&mut flow, Event::Start, &mut Nobody).await;
        std::hint::black_box(tokens.expect("tokens"));
    }
}
