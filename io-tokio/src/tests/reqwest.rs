//! Tokens for the requests of reqwest, over real connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::reqwest::{Body, Client, Method, Request};
use grantflow_core::error::{ConfigError, Error};

use super::api::{Resource, counting, fresh, handle, refusing, resource, taking, with_key};
use crate::{Authorizer, Driver, RequestError, ReqwestApi};

fn api(authorizer: Arc<dyn Authorizer>, resource: &Resource) -> ReqwestApi {
    // As a program would have it that follows redirects and sends its own key everywhere.
    let settings = Client::builder().redirect(::reqwest::redirect::Policy::limited(5));
    ReqwestApi::new(settings, Driver::new(), authorizer, resource.audience()).unwrap()
}

#[tokio::test]
async fn rs_07_a_59_x_09_h_12_a_refused_token_is_renewed_once_by_way_of_reqwest() {
    let server = taking("t2").await;
    let (log, authorizer) = counting();
    let api = self::api(authorizer, &server);
    let request = api.request(Method::PUT, "lights/7").unwrap().header("x-own", "1").body("a body").build().unwrap();
    let answer = api.execute(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "fine"));
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
    assert!(server.all().iter().all(|asked| asked.body == "a body" && asked.headers("x-own") == ["1"]));
    assert!(server.all()[0].head.starts_with("PUT /v1/lights/7 HTTP/1.1"));
    assert_eq!(log.calls(), ["authorize", "refresh 1"]);

    let server = refusing().await;
    let answer = self::api(counting().1, &server).get("a").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str(), server.count()), (401, "no", 2));
}

#[tokio::test]
async fn rs_08_e_14_h_09_other_statuses_are_responses_of_reqwest() {
    for status in [403, 404, 500] {
        let server = resource(move |_| (status, String::new(), "")).await;
        let (log, authorizer) = counting();
        assert_eq!(api(authorizer, &server).get("a").await.unwrap().status(), status);
        assert_eq!((server.count(), log.calls().len()), (1, 1));
    }
}

/// A body that reqwest cannot copy.
struct Stream(Option<&'static str>);

impl http_body::Body for Stream {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|piece| Ok(http_body::Frame::data(piece.into()))))
    }
}

#[tokio::test]
async fn h_01_l_48_a_stream_of_reqwest_is_sent_once() {
    let server = taking("t2").await;
    let (log, authorizer) = counting();
    let api = api(authorizer, &server);
    for expected in [401, 200] {
        let stream = Body::wrap(Stream(Some("streamed")));
        let request = api.request(Method::POST, "a").unwrap().body(stream).build().unwrap();
        assert_eq!(api.execute(request).await.unwrap().status(), expected);
    }
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
    assert!(server.all().iter().all(|asked| asked.body == "8\r\nstreamed\r\n0\r\n\r\n"));
    assert_eq!(log.calls(), ["authorize", "refresh 1", "expired 2"]);
}

#[tokio::test]
async fn rs_01_rs_02_rs_10_rs_09_l_54_neither_token_nor_key_leaves_the_audience_by_way_of_reqwest() {
    let other = resource(|_| (200, String::new(), "")).await;
    for status in [302, 307, 308] {
        let to = format!("Location: {}/x\r\n", other.base);
        let server = resource(move |_| (status, to.clone(), "")).await;
        let api = api(with_key("t"), &server);
        assert_eq!(api.get("a").await.unwrap().status(), status);
        assert_eq!(server.all()[0].headers("x-api-key"), ["key"]);
        let elsewhere = Request::new(Method::GET, other.base.parse().unwrap());
        let refused = api.execute(elsewhere).await.unwrap_err();
        assert!(matches!(refused, RequestError::Authorization(Error::Config(ConfigError::Audience(_)))), "{refused}");
        let own = api.request(Method::GET, "a").unwrap().basic_auth("u", Some("p")).build().unwrap();
        let conflict = api.execute(own).await.unwrap_err();
        assert!(matches!(conflict, RequestError::Authorization(Error::Config(ConfigError::AuthorizationConflict(_)))));
        assert_eq!(server.count(), 1);
    }
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn rf_11_a_hundred_late_refusals_renew_once_by_way_of_reqwest() {
    let server = taking("t1").await;
    let (handle, renewals, _) = handle(Some(fresh())).await;
    let api = api(Arc::new(handle), &server);
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.get("a").await.unwrap().status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    let renewed = renewals.0.load(Ordering::Relaxed);
    println!("figure: renewals/100 late refusals of a token, reqwest = {renewed} renewals");
    assert_eq!(renewed, 1);
}
