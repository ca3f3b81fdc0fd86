use http::Request;

use super::super::{Audience, AuthorizedRequest, Replay, RequestSettings};
use super::requests::{Play, answer, bound_as};
use crate::error::{ConfigError, Error};
use crate::http::Body;
use crate::manager::{Credential, Placement};
use crate::secret::Secret;
use crate::testing::MarkerCrypto;

const FORM: &str = "application/x-www-form-urlencoded";

fn request(url: &str, media_type: &str, body: &str) -> Request<Body> {
    let body = Body::new(body.as_bytes().to_vec());
    Request::post(url).header("content-type", media_type).header("content-length", "3").body(body).unwrap()
}

fn lease(placement: &Placement) -> Result<Credential, Error> {
    Credential::bare(&Secret::from("a&b"), placement, &MarkerCrypto)
}

fn made(request: Request<Body>) -> AuthorizedRequest {
    AuthorizedRequest::new(request, &Audience::only("https://api.example").unwrap(), RequestSettings::new()).unwrap()
}

#[test]
fn l_42_a_token_can_go_into_the_query() {
    let placement = Placement::default().dangerous_in_query("access_token");
    for (url, expected) in [
        ("https://api.example/?q=1", "https://api.example/?q=1&access_token=a%26b"),
        ("https://api.example/x", "https://api.example/x?access_token=a%26b"),
        ("https://api.example/x?", "https://api.example/x?access_token=a%26b"),
    ] {
        let mut play = Play::new([lease(&placement)], [answer(200, &[])]);
        play.run(made(request(url, "text/plain", "x=1"))).unwrap();
        let sent = &play.sent[0].request;
        assert_eq!(sent.uri(), expected);
        assert_eq!((sent.headers().get("authorization"), sent.body().expose()), (None, &b"x=1"[..]));
        assert_eq!(sent.headers()["cache-control"], "no-store");
    }
    let mut play = Play::new([lease(&placement)], []);
    let error = play.run(made(request("https://api.example/?access_token=own", FORM, ""))).unwrap_err();
    assert_eq!(error, ConfigError::AuthorizationConflict("access_token".to_owned()).into());
}

#[test]
fn l_42_a_token_can_go_into_a_form_and_into_no_other_body() {
    let placement = Placement::default().dangerous_in_form("access_token");
    for (body, expected) in [("x=1", "x=1&access_token=a%26b"), ("", "access_token=a%26b")] {
        for media_type in [FORM, "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
            let mut play = Play::new(
                [lease(&placement), Credential::bare(&Secret::from("c"), &placement, &MarkerCrypto)],
                [answer(401, &[]), answer(200, &[])],
            );
            play.run(made(request("https://api.example/?q=1", media_type, body))).unwrap();
            let sent = &play.sent[0].request;
            assert_eq!(
                (sent.uri().to_string().as_str(), sent.body().expose()),
                ("https://api.example/?q=1", expected.as_bytes())
            );
            assert!(!sent.headers().contains_key("authorization") && !sent.headers().contains_key("content-length"));
            assert_eq!(play.sent[1].request.body().expose(), expected.replace("a%26b", "c").as_bytes());
        }
    }
    for (media_type, body) in [("application/json", "{}"), ("", "x=1"), (FORM, "%")] {
        let mut play = Play::new([lease(&placement)], []);
        let error = play.run(made(request("https://api.example/", media_type, body))).unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Invalid { setting: "token placement", .. })), "{error}");
    }
    let mut play = Play::new([lease(&placement)], []);
    let error = play.run(made(request("https://api.example/", FORM, "access_token=own"))).unwrap_err();
    assert_eq!(error, ConfigError::AuthorizationConflict("access_token".to_owned()).into());

    let (head, _) = request("https://api.example/", FORM, "").into_parts();
    let audience = Audience::only("https://api.example").unwrap();
    let streaming = AuthorizedRequest::head_only(head, Replay::Possible, &audience, RequestSettings::new()).unwrap();
    let mut play = Play::new([lease(&placement)], []);
    assert!(matches!(play.run(streaming), Err(Error::Config(_))), "it would go without its token");
}

#[test]
fn l_42_a_bound_token_goes_into_the_header_only() {
    for placement in [Placement::default().dangerous_in_query("t"), Placement::default().dangerous_in_form("t")] {
        let mut play = Play::new([bound_as(&placement)], []);
        let error = play.run(made(request("https://api.example/", FORM, ""))).unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::Invalid { setting: "token placement", .. })), "{error}");
        assert_eq!(play.log, ["lease"]);
    }
}
