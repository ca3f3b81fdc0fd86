//! Tokens for the requests of ureq, over real connections.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use grantflow_core::error::{ConfigError, Error};
use grantflow_core::resource::Audience;
use ureq::{Agent, SendBody};

use super::api::{Resource, bare, counting, fresh, handle, refusing, resource, taking, with_key};
use crate::{AuthorizeMiddleware, Authorizer, Driver};

fn authorizing(authorizer: Arc<dyn Authorizer>, server: &Resource) -> AuthorizeMiddleware {
    AuthorizeMiddleware::new(Driver::new(), authorizer, server.audience())
}

fn agent(authorize: AuthorizeMiddleware) -> Agent {
    // As a program would have it that follows redirects.
    Agent::config_builder().max_redirects(5).middleware(authorize).build().into()
}

fn cause(error: ureq::Error) -> Error {
    let ureq::Error::Other(cause) = error else { panic!("{error:?}") };
    *cause.downcast().unwrap()
}

#[test]
fn rs_07_a_59_x_09_h_12_a_refused_token_is_renewed_once_by_way_of_ureq() {
    let server = taking("t2");
    let (log, authorizer) = counting();
    let mut answer = agent(authorizing(authorizer, &server)).get(format!("{}/a", server.base)).call().unwrap();
    assert_eq!((answer.status().as_u16(), answer.body_mut().read_to_string().unwrap().as_str()), (200, "fine"));
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2"]);
    for framed in ["content-length", "transfer-encoding"] {
        assert!(server.all().iter().all(|asked| asked.headers(framed).is_empty()), "there is no body");
    }
    assert_eq!(log.calls(), ["authorize", "refresh 1"]);

    let server = refusing();
    let mut answer = agent(authorizing(counting().1, &server)).get(format!("{}/a", server.base)).call().unwrap();
    assert_eq!((answer.status().as_u16(), server.count()), (401, 2));
    assert_eq!(answer.body_mut().read_to_string().unwrap(), "no");
}

#[test]
fn h_01_l_48_a_body_is_sent_once_as_it_is_and_the_next_request_has_another_token() {
    let server = taking("t2");
    let (log, authorizer) = counting();
    let agent = agent(authorizing(authorizer, &server));
    let url = format!("{}/a", server.base);
    for expected in [401, 200] {
        let body = SendBody::from_owned_reader(Cursor::new("streamed"));
        assert_eq!(agent.post(&url).header("x-own", "1").send(body).unwrap().status(), expected);
    }
    assert_eq!(agent.put(&url).send("whole").unwrap().status(), 200);
    assert_eq!(server.tokens(), ["Bearer t1", "Bearer t2", "Bearer t2"]);
    let [first, second, third] = &server.all()[..] else { panic!() };
    assert_eq!((first.body.as_str(), &second.body), ("8\r\nstreamed\r\n0\r\n\r\n", &first.body));
    assert_eq!((third.body.as_str(), third.headers("content-length")), ("whole", vec!["5".to_owned()]));
    assert_eq!(log.calls(), ["authorize", "refresh 1", "expired 2", "expired 2"]);
}

#[test]
fn rs_07_bodies_up_to_a_size_are_sent_again_on_request() {
    for (body, sent) in [("12345", 2), ("", 2), ("123456", 1)] {
        let server = taking("t2");
        let authorize = authorizing(counting().1, &server).replaying_up_to(5);
        let answer = agent(authorize).post(format!("{}/a", server.base)).send(body).unwrap();
        assert_eq!((answer.status() == 200, server.count()), (sent == 2, sent), "{body}");
        for asked in server.all() {
            if sent == 2 {
                assert_eq!(
                    (asked.body.as_str(), asked.headers("content-length")),
                    (body, vec![body.len().to_string()])
                );
            } else {
                assert_eq!(asked.body, "6\r\n123456\r\n0\r\n\r\n");
            }
        }
    }
}

#[test]
fn h_01_a_body_that_the_caller_has_framed_keeps_its_frame() {
    let server = taking("t");
    let post = agent(authorizing(bare("t"), &server).replaying_up_to(5)).post(format!("{}/a", server.base));
    assert_eq!(post.header("transfer-encoding", "chunked").send("whole").unwrap().status(), 200);
    let asked = &server.all()[0];
    assert_eq!((asked.body.as_str(), asked.headers("content-length").len()), ("5\r\nwhole\r\n0\r\n\r\n", 0));
}

#[test]
fn rs_08_e_14_h_09_other_statuses_are_responses_of_ureq() {
    for status in [403, 404, 500] {
        let server = resource(move |_| (status, String::new(), ""));
        let (log, authorizer) = counting();
        let answer = agent(authorizing(authorizer, &server)).get(format!("{}/a", server.base)).call().unwrap();
        assert_eq!((answer.status().as_u16(), server.count(), log.calls().len()), (status, 1, 1));
    }
}

#[test]
fn rs_01_rs_02_rs_05_rs_09_rs_10_l_54_neither_token_nor_key_leaves_the_audience_by_way_of_ureq() {
    let other = resource(|_| (200, String::new(), ""));
    let to = format!("Location: {}/x\r\n", other.base);
    let server = resource(move |_| (307, to.clone(), ""));
    let agent = agent(authorizing(with_key("t"), &server));
    assert_eq!(agent.get(format!("{}/a", server.base)).call().unwrap().status(), 307);
    assert_eq!(server.all()[0].headers("x-api-key"), ["key"]);
    let elsewhere = cause(agent.get(format!("{}/a", other.base)).call().unwrap_err());
    assert!(matches!(elsewhere, Error::Config(ConfigError::Audience(_))), "{elsewhere}");
    let own = agent.get(format!("{}/a", server.base)).header("authorization", "Basic eA==");
    assert!(matches!(cause(own.call().unwrap_err()), Error::Config(ConfigError::AuthorizationConflict(_))));
    let closed = AuthorizeMiddleware::new(Driver::new(), bare("t"), Audience::only(&server.base).unwrap());
    assert!(matches!(cause(self::agent(closed).get(&server.base).call().unwrap_err()), Error::Config(_)));
    assert_eq!((server.count(), other.count()), (1, 0));
}

#[test]
fn rf_11_a_hundred_late_refusals_renew_once_by_way_of_ureq() {
    let server = taking("t1");
    let (handle, renewals, _) = handle(Some(fresh()));
    let agent = agent(authorizing(Arc::new(handle), &server));
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (agent, url) = (agent.clone(), format!("{}/a", server.base));
            thread::spawn(move || agent.get(url).call().unwrap().status())
        })
        .collect();
    for request in requests {
        assert_eq!(request.join().unwrap(), 200);
    }
    let renewed = renewals.0.load(Ordering::Relaxed);
    println!("figure: renewals/100 late refusals of a token, ureq = {renewed} renewals");
    assert_eq!(renewed, 1);
}
