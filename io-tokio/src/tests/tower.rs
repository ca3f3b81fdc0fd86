//! Tokens for the requests of tower services: hyper-util's client over real connections, and services that watch.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use grantflow_core::error::{ConfigError, Error};
use grantflow_core::http::Body;
use grantflow_core::resource::Audience;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower_layer::Layer;
use tower_service::Service;

use super::api::{bare, counting, fresh, handle, refusing, resource, taking, with_key};
use crate::{AuthorizeLayer, CopyBody, Driver, RequestError};

/// A body that streams: pieces of unknown total length, to be had once.
struct Pieces(VecDeque<&'static str>);

fn pieces() -> Pieces {
    Pieces(["one ", "two ", "three"].into())
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

fn client<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

async fn call<S: Service<R>, R>(service: &mut S, request: R) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

fn post<B>(base: &str, body: B) -> Request<B> {
    Request::post(format!("{base}/lights")).header("x-own", "1").body(body).unwrap()
}

#[tokio::test]
async fn rs_07_a_59_x_09_h_12_a_body_that_can_be_had_again_is_sent_again_once() {
    let server = taking("t2").await;
    let (log, authorizer) = counting();
    let mut service = AuthorizeLayer::new(Driver::new(), authorizer, server.audience()).layer(client());
    let answer = call(&mut service, post(&server.base, Full::from("a body"))).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "fine");
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
    assert!(server.all().iter().all(|asked| asked.body == "a body" && asked.headers("x-own") == ["1"]));
    assert_eq!(log.calls(), ["authorize", "refresh 1"]);

    let server = refusing().await;
    let (_, authorizer) = counting();
    let mut service = AuthorizeLayer::new(Driver::new(), authorizer, server.audience()).layer(client());
    let answer = call(&mut service, post(&server.base, Empty::<Bytes>::new())).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.count()), (401, 2));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "no");
}

#[tokio::test]
async fn h_01_l_48_a_body_that_streams_passes_by_and_is_sent_once() {
    let server = taking("t2").await;
    let (log, authorizer) = counting();
    let layer = AuthorizeLayer::new(Driver::new(), authorizer, server.audience()).sending_once();
    let mut service = layer.layer(client());
    let answer = call(&mut service, post(&server.base, pieces())).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.count()), (401, 1));
    assert_eq!(server.all()[0].headers("transfer-encoding"), ["chunked"]);
    assert_eq!(server.all()[0].body, "4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n");
    assert_eq!(log.calls(), ["authorize", "refresh 1"], "the next request has another token");
    let answer = call(&mut service, post(&server.base, pieces())).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.tokens().pop().unwrap().as_str()), (200, "Bearer t2"));
}

#[tokio::test]
async fn a_function_says_how_a_body_is_copied() {
    let server = taking("t2").await;
    let (_, authorizer) = counting();
    let layer = AuthorizeLayer::new(Driver::new(), authorizer, server.audience());
    let layer = layer.copying(|body: &Pieces| Some(Pieces(body.0.clone())));
    let answer = call(&mut layer.layer(client()), post(&server.base, pieces())).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.count()), (200, 2));
    assert!(server.all().iter().all(|asked| asked.body.contains("three")));
    assert_eq!(().copy_body(), Some(()));
    assert_eq!(Body::from(b"x".to_vec()).copy_body().unwrap().expose(), b"x");
    assert_eq!(Bytes::from("x").copy_body().unwrap(), "x");
}

#[tokio::test]
async fn rs_01_rs_02_rs_10_rs_05_rs_09_l_54_what_may_not_have_the_token_is_not_sent() {
    let other = resource(|_| (200, String::new(), "")).await;
    let to = format!("Location: {}/x\r\n", other.base);
    let server = resource(move |_| (307, to.clone(), "")).await;
    let mut service = AuthorizeLayer::new(Driver::new(), with_key("t"), server.audience()).layer(client());
    let answer = call(&mut service, post(&server.base, Full::from("x"))).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.count()), (307, 1));
    let elsewhere = call(&mut service, post(&other.base, Full::from("x"))).await.unwrap_err();
    assert!(matches!(elsewhere, RequestError::Authorization(Error::Config(ConfigError::Audience(_)))), "{elsewhere}");
    let cause = std::error::Error::source(&elsewhere).unwrap().to_string();
    assert_eq!(elsewhere.to_string(), format!("the request is not authorized: {cause}"));
    let mut own = post(&server.base, Full::from("x"));
    own.headers_mut().insert("authorization", "Basic eA==".parse().unwrap());
    let conflict = call(&mut service, own).await.unwrap_err();
    assert!(matches!(conflict, RequestError::Authorization(Error::Config(ConfigError::AuthorizationConflict(_)))));
    let closed = Audience::only(&server.base).unwrap();
    let mut service = AuthorizeLayer::new(Driver::new(), bare("t"), closed).layer(client());
    assert!(call(&mut service, post(&server.base, Full::from("x"))).await.is_err());
    assert_eq!((server.count(), other.count()), (1, 0));
}

#[tokio::test]
async fn rf_11_a_hundred_late_refusals_renew_once_through_the_layer() {
    let server = taking("t1").await;
    let (handle, renewals, _) = handle(Some(fresh())).await;
    let layer = AuthorizeLayer::new(Driver::new(), Arc::new(handle), server.audience());
    let service = layer.layer(client());
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (mut service, base) = (service.clone(), server.base.clone());
            tokio::spawn(async move { call(&mut service, post(&base, Full::from("x"))).await.unwrap().status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    let renewed = renewals.0.load(Ordering::Relaxed);
    println!("figure: renewals/100 late refusals of a token, tower = {renewed} renewals");
    assert_eq!(renewed, 1);
}

/// A service that panics when it is called before it is ready. A clone of it is not ready.
#[derive(Default)]
struct Strict {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, calls: self.calls.clone(), tokens: self.tokens.clone() }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        self.tokens.lock().unwrap().push(request.headers()["authorization"].to_str().unwrap().to_owned());
        let mut answer = Response::new("answer");
        *answer.status_mut() = if self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            http::StatusCode::UNAUTHORIZED
        } else {
            http::StatusCode::OK
        };
        answer.extensions_mut().insert(7_u8);
        ready(Ok(answer))
    }
}

#[tokio::test]
async fn the_service_that_was_ready_is_called_and_made_ready_again_before_the_second_time() {
    let (log, authorizer) = counting();
    let audience = Audience::only("https://api.example").unwrap();
    let strict = Strict::default();
    let mut service = AuthorizeLayer::new(Driver::new(), authorizer, audience).layer(strict.clone());
    for _ in 0..2 {
        let request = Request::get("https://api.example/a").body(()).unwrap();
        let answer = call(&mut service, request).await.unwrap();
        assert_eq!((answer.status().as_u16(), *answer.body()), (200, "answer"));
        assert_eq!(answer.extensions().get(), Some(&7_u8), "what the service says besides is kept");
    }
    assert_eq!(strict.calls.load(Ordering::Relaxed), 4);
    assert_eq!(log.calls().len(), 4);
    assert_eq!(*strict.tokens.lock().unwrap(), ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]);
}
