//! Hooks of a client: where they run, in which order, and what they may not do (rows L-51, CA-11).

use std::sync::{Arc, Mutex};

use grantflow_core::client::{
    Authentication, AuthenticationMethod, Client, Credentials, Hook, HookFlaw, HookPoint, HookedRequest,
};
use grantflow_core::endpoint::introspection::Introspected;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::endpoint::{Introspection, Revocation, UserInfo};
use grantflow_core::error::{ConfigError, Error, ProviderError, SecurityError, TransportKind, UrlFlaw};
use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{ClientCredentials, Device, Extras, Refresh};
use grantflow_core::http::Body;
use grantflow_core::machine::EffectKind;
use grantflow_core::token::{Note, TokenType};
use grantflow_core::{Error as GrantflowError, Secret};
use http::HeaderValue;
use serde_json::{Value, json};

use crate::authorization_response::waiting;
use crate::scripted::*;
use crate::token_response::proof_key;

const TOKEN: &str = "POST https://as.example/token";

/// What hooks wrote down, in the order in which they ran.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Vec<String>>>);

impl Notebook {
    fn write(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn read(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// A hook that writes down that it ran, and appends its name to what it is given.
    fn hook(&self, point: HookPoint, name: &'static str) -> Hook {
        let notebook = self.clone();
        let write = move || notebook.write(format!("{point} {name}"));
        let on_request = {
            let write = write.clone();
            move |request: &mut HookedRequest| {
                write();
                request.url.query_pairs_mut().append_pair("seen", name);
                request.headers.append("x-seen", HeaderValue::from_static(name));
                request.form.push("seen", name);
                Ok(())
            }
        };
        let on_answer = {
            let write = write.clone();
            move |answer: http::Response<Body>| {
                write();
                Ok(with_member(answer, |members| {
                    let seen = members["seen"].as_str().unwrap_or_default().to_owned();
                    members["seen"] = json!(format!("{seen}{name} "));
                }))
            }
        };
        match point {
            HookPoint::AccessTokenResponse => Hook::access_token_response(on_answer),
            HookPoint::RefreshTokenResponse => Hook::refresh_token_response(on_answer),
            HookPoint::RefreshTokenRequest => Hook::refresh_token_request(on_request),
            HookPoint::RevokeTokenRequest => Hook::revoke_token_request(on_request),
            HookPoint::IntrospectTokenRequest => Hook::introspect_token_request(on_request),
            HookPoint::ProtectedRequest => Hook::protected_request(move |url, headers| {
                write();
                url.query_pairs_mut().append_pair("seen", name);
                headers.append("x-seen", HeaderValue::from_static(name));
                Ok(())
            }),
        }
    }
}

/// An answer with its JSON changed.
pub fn with_member(answer: http::Response<Body>, change: impl FnOnce(&mut Value)) -> http::Response<Body> {
    let (parts, body) = answer.into_parts();
    let mut members: Value = serde_json::from_slice(body.expose()).unwrap();
    change(&mut members);
    http::Response::from_parts(parts, Body::new(members.to_string().into_bytes()))
}

fn refresh(client: &Client) -> Run<Refresh> {
    Run::new(Refresh::new(client, RefreshRequest::new(Secret::from("canary-refresh"))).unwrap())
}

fn revocation(client: &Client) -> Run<Revocation> {
    Run::new(Revocation::new(client, &Secret::from("canary-access"), TokenKind::Access).unwrap())
}

fn introspection(client: &Client) -> Run<Introspection> {
    Run::new(Introspection::new(client, &Secret::from("canary-access"), TokenKind::Access).unwrap())
}

/// A request for a resource, with its token, as a driver's caller would make it.
fn protected(url: &str) -> http::request::Parts {
    let request = http::Request::get(url).header("authorization", "Bearer canary-access").header("x-own", "1");
    request.body(()).unwrap().into_parts().0
}

#[test]
fn l_51_hooks_run_in_the_order_of_registration_at_six_points() {
    let notebook = Notebook::default();
    // Registered the other way round from point to point, so that no order but this one can come out.
    let mut builder = builder(json!({}));
    for name in ["second-to-none", "first", "a", "zz"] {
        for point in HookPoint::ALL {
            builder = builder.hook(notebook.hook(point, name));
        }
    }
    let client = builder.build().unwrap();
    let ran = |points: &[HookPoint]| -> Vec<String> {
        let names = ["second-to-none", "first", "a", "zz"];
        points.iter().flat_map(|point| names.map(|name| format!("{point} {name}"))).collect()
    };
    let query = "?seen=second-to-none&seen=first&seen=a&seen=zz";
    let was_seen = |view: &View| {
        let seen = |pairs: &[(String, String)], name: &str| -> Vec<String> {
            pairs.iter().filter(|(found, _)| found == name).map(|(_, value)| value.clone()).collect()
        };
        assert_eq!(seen(&view.headers, "x-seen"), ["second-to-none", "first", "a", "zz"]);
        assert_eq!(seen(&view.form, "seen"), ["second-to-none", "first", "a", "zz"]);
    };

    let mut run = waiting(&client, "").answering([json(200, &tokens())]);
    let issued = run.come_back().done();
    assert_eq!(issued.answer().get("seen").unwrap().into_string().unwrap(), "second-to-none first a zz ");
    assert_eq!(issued.notes(), [Note::Hooked]);
    run.sent(&[TOKEN]);
    assert_eq!(notebook.read(), ran(&[HookPoint::AccessTokenResponse]));

    let mut run = refresh(&client).answering([json(200, &tokens())]);
    assert_eq!(run.start().done().notes(), [Note::Hooked]);
    was_seen(run.last());
    run.sent(&[&format!("{TOKEN}{query}")]);
    assert_eq!(notebook.read(), ran(&[HookPoint::RefreshTokenRequest, HookPoint::RefreshTokenResponse]));

    let mut run = revocation(&client).answering([answer(200, &[], "")]);
    run.start().done();
    was_seen(run.last());
    run.sent(&[&format!("POST https://as.example/revoke{query}")]);
    assert_eq!(notebook.read(), ran(&[HookPoint::RevokeTokenRequest]));

    let mut run = introspection(&client).answering([json(200, &json!({ "active": true, "sub": "alice" }))]);
    let Introspected::Active(active) = run.start().done() else { panic!("the token is active") };
    assert_eq!(active.subject().as_deref(), Some("alice"));
    was_seen(run.last());
    run.sent(&[&format!("POST https://as.example/introspect{query}")]);
    assert_eq!(notebook.read(), ran(&[HookPoint::IntrospectTokenRequest]));

    let mut parts = protected("https://api.example/me?page=2");
    client.apply_protected_request(&mut parts).unwrap();
    assert_eq!(parts.uri, "https://api.example/me?page=2&seen=second-to-none&seen=first&seen=a&seen=zz");
    assert_eq!(parts.headers.get_all("x-seen").iter().count(), 4);
    assert_eq!(parts.headers["authorization"], "Bearer canary-access");
    assert_eq!(notebook.read(), ran(&[HookPoint::ProtectedRequest]));

    // Nothing else has a hook.
    let mut run = Run::new(UserInfo::new(&client, &Secret::from("canary-access"), "alice").unwrap())
        .answering([json(200, &json!({ "sub": "alice" }))]);
    run.start().done();
    run.sent(&["GET https://as.example/userinfo"]);
    assert_eq!(notebook.read(), [""; 0]);
}

#[test]
fn l_51_every_answer_to_a_token_request_passes_its_hooks_those_to_a_devices_polls_too() {
    let notebook = Notebook::default();
    let point = HookPoint::AccessTokenResponse;
    let client = builder(json!({}))
        .secret(Secret::from("canary-client-secret"))
        .hook(notebook.hook(point, "one"))
        .hook(Hook::access_token_response(|answer| {
            // A server that says in words of its own that the person is not done yet.
            Ok(with_member(answer, |members| {
                if members["status"] == "waiting" {
                    members["error"] = json!("authorization_pending");
                }
            }))
        }))
        .build()
        .unwrap();
    let device = json!({ "device_code": "canary-device-code", "user_code": "canary-user-code", "verification_uri": "https://as.example/d", "expires_in": 60 });
    let mut run = Run::new(Device::new(&client, "", Extras::default()).unwrap()).answering([
        json(200, &device),
        json(202, &json!({ "status": "waiting" })),
        json(200, &tokens()),
    ]);
    run.start().done();
    run.sent(&["POST https://as.example/device", TOKEN, TOKEN]);
    assert_eq!(notebook.read(), [format!("{point} one"), format!("{point} one")]);
    let mut run = Run::new(ClientCredentials::new(&client, "", &Extras::default()).unwrap())
        .answering([json(503, &json!({})), json(200, &tokens())]);
    run.start().done();
    run.sent(&[TOKEN, TOKEN]);
    assert_eq!(notebook.read().len(), 2, "once for every answer");
}

#[test]
fn an_answer_has_a_note_if_a_hook_has_changed_anything_of_it() {
    type Change = fn(&mut http::Response<Body>);
    let changes: [(&[Note], Change); 4] = [
        (&[], |_| {}),
        (&[Note::Status, Note::Hooked], |answer| *answer.status_mut() = http::StatusCode::CREATED),
        (&[Note::Hooked], |answer| drop(answer.headers_mut().insert("x-own", HeaderValue::from_static("1")))),
        (&[Note::Hooked], |answer| *answer.body_mut() = Body::new([answer.body().expose(), b" "].concat())),
    ];
    for (notes, change) in changes {
        let hook = Hook::refresh_token_response(move |mut answer| {
            change(&mut answer);
            Ok(answer)
        });
        let client = builder(json!({})).hook(hook).build().unwrap();
        let mut run = refresh(&client).answering([json(200, &tokens())]);
        assert_eq!(run.start().done().notes(), notes);
        run.sent(&[TOKEN]);
    }
}

#[test]
fn points_have_the_names_that_logs_and_errors_say() {
    let names = [
        "access_token_response",
        "refresh_token_response",
        "refresh_token_request",
        "revoke_token_request",
        "introspect_token_request",
        "protected_request",
    ];
    assert_eq!(HookPoint::ALL.map(|point| point.to_string()), names);
}

/// A deed and what it is called.
type Deed = (HookFlaw, fn(&mut HookedRequest));

const DEEDS: [Deed; 20] = [
    (HookFlaw::Origin, |request| request.url.set_host(Some("evil.example")).unwrap()),
    (HookFlaw::Origin, |request| request.url.set_port(Some(8443)).unwrap()),
    (HookFlaw::Origin, |request| request.url.set_scheme("http").unwrap()),
    (HookFlaw::Origin, |request| request.url = "data:text/plain,x".parse().unwrap()),
    (HookFlaw::Url(UrlFlaw::UserInfo), |request| request.url.set_username("alice").unwrap()),
    (HookFlaw::Url(UrlFlaw::Fragment), |request| request.url.set_fragment(Some("x"))),
    (HookFlaw::Url(UrlFlaw::TooLong), |request| request.url.set_query(Some(&"x".repeat(1 << 14)))),
    (HookFlaw::Header("authorization"), |request| set(request, "authorization", "Bearer mine")),
    (HookFlaw::Header("authorization"), |request| set(request, "authorization", "")),
    (HookFlaw::Header("dpop"), |request| set(request, "dpop", "mine")),
    (HookFlaw::Header("host"), |request| set(request, "host", "evil.example")),
    (HookFlaw::Header("connection"), |request| set(request, "connection", "x-own")),
    (HookFlaw::Header("content-length"), |request| set(request, "content-length", "3")),
    (HookFlaw::Header("transfer-encoding"), |request| set(request, "transfer-encoding", "chunked")),
    (HookFlaw::Header("content-type"), |request| set(request, "content-type", "application/json")),
    (HookFlaw::Parameter("client_id"), |request| request.form.push("client_id", "other")),
    (HookFlaw::Parameter("client_secret"), |request| request.form.push("client_secret", "mine")),
    (HookFlaw::Parameter("client_secret"), |request| request.form.push("client_secret", "")),
    (HookFlaw::Parameter("client_assertion"), |request| request.form.push("client_assertion", "mine")),
    (HookFlaw::Parameter("client_assertion_type"), |request| request.form.push("client_assertion_type", "mine")),
];

fn set(request: &mut HookedRequest, name: &'static str, value: &str) {
    request.headers.insert(name, value.parse().unwrap());
}

#[test]
fn a_hook_that_oversteps_ends_the_flow_and_nothing_is_sent() {
    for (flaw, deed) in DEEDS {
        for secret in [None, Some(Secret::from("canary-client-secret"))] {
            let hook = move |request: &mut HookedRequest| {
                deed(request);
                Ok(())
            };
            let mut builder = builder(json!({}))
                .hook(Hook::refresh_token_request(hook))
                .hook(Hook::revoke_token_request(hook))
                .hook(Hook::introspect_token_request(hook));
            if let Some(secret) = secret {
                builder = builder.authentication(Authentication::SecretPost(secret));
            }
            let client = builder.build().unwrap();
            let overstepped = |point| Error::Config(ConfigError::HookOverstepped { point, flaw });
            let mut run = refresh(&client);
            assert_eq!(run.start().failed(), overstepped(HookPoint::RefreshTokenRequest));
            run.sent(&[]);
            let mut run = revocation(&client);
            assert_eq!(run.start().failed(), overstepped(HookPoint::RevokeTokenRequest));
            run.sent(&[]);
            let mut run = introspection(&client);
            assert_eq!(run.start().failed(), overstepped(HookPoint::IntrospectTokenRequest));
            run.sent(&[]);
        }
    }
}

#[test]
fn a_hook_that_oversteps_at_a_protected_request_is_refused() {
    type Deed = (HookFlaw, fn(&mut url::Url, &mut http::HeaderMap));
    let deeds: [Deed; 8] = [
        (HookFlaw::Origin, |url, _| url.set_host(Some("evil.example")).unwrap()),
        (HookFlaw::Origin, |url, _| url.set_scheme("http").unwrap()),
        (HookFlaw::Url(UrlFlaw::UserInfo), |url, _| url.set_password(Some("x")).unwrap()),
        (HookFlaw::Header("authorization"), |_, headers| drop(headers.remove("authorization"))),
        (HookFlaw::Header("authorization"), |_, headers| {
            drop(headers.insert("authorization", HeaderValue::from_static("Bearer other")));
        }),
        (HookFlaw::Header("authorization"), |_, headers| {
            headers.append("authorization", HeaderValue::from_static("Bearer canary-access"));
        }),
        (HookFlaw::Header("dpop"), |_, headers| drop(headers.insert("dpop", HeaderValue::from_static("x")))),
        (HookFlaw::Header("host"), |_, headers| drop(headers.insert("host", HeaderValue::from_static("evil.example")))),
    ];
    for (flaw, deed) in deeds {
        let hook = Hook::protected_request(move |url, headers| {
            deed(url, headers);
            Ok(())
        });
        let client = builder(json!({})).hook(hook).build().unwrap();
        let error = client.apply_protected_request(&mut protected("https://api.example/me")).unwrap_err();
        assert_eq!(error, Error::Config(ConfigError::HookOverstepped { point: HookPoint::ProtectedRequest, flaw }));
        assert!(!error.to_string().contains("canary"));
    }
}

#[test]
fn an_error_of_a_hook_ends_the_flow() {
    let broken = || GrantflowError::Provider(ProviderError::KeyUnavailable);
    let client = builder(json!({})).hook(Hook::refresh_token_request(move |_| Err(broken()))).build().unwrap();
    let mut run = refresh(&client);
    assert_eq!(run.start().failed(), broken());
    run.sent(&[]);
    let client = builder(json!({})).hook(Hook::refresh_token_response(move |_| Err(broken()))).build().unwrap();
    let mut run = refresh(&client).answering([json(200, &tokens())]);
    assert_eq!(run.start().failed(), broken());
    run.sent(&[TOKEN]);
}

#[test]
fn hooks_run_at_every_attempt_and_the_proof_is_about_the_url_they_leave() {
    let notebook = Notebook::default();
    let client = builder(json!({}))
        .proof_key(proof_key())
        .hook(notebook.hook(HookPoint::RefreshTokenRequest, "one"))
        .hook(Hook::refresh_token_request(|request| {
            request.url.set_path("/token/refresh");
            Ok(())
        }))
        .build()
        .unwrap();
    let issued = tokens_with(json!({ "token_type": "DPoP" }));
    let nonce =
        answer(400, &[("content-type", "application/json"), ("dpop-nonce", "n-1")], r#"{"error":"use_dpop_nonce"}"#);
    let mut run = refresh(&client).answering([answer(503, &[], ""), nonce, json(200, &issued)]);
    assert_eq!(*run.start().done().token_type(), TokenType::Dpop);
    for request in &run.requests {
        assert_eq!(request.claims("dpop")["htu"], json!("https://as.example/token/refresh"));
        assert_eq!(request.field("seen"), Some("one"), "once for every attempt, and not once more");
    }
    run.sent(&["POST https://as.example/token/refresh?seen=one"; 3]);
    assert_eq!(notebook.read().len(), 3);
}

#[test]
fn what_hooks_make_of_an_answer_is_judged_like_any_other() {
    let big = Hook::refresh_token_response(|mut answer| {
        *answer.body_mut() = Body::new(vec![b' '; (1 << 20) + 1]);
        Ok(answer)
    });
    let mut run = refresh(&builder(json!({})).hook(big).build().unwrap()).answering([json(200, &tokens())]);
    let Error::Transport(error) = run.start().failed() else { panic!("it is too large") };
    assert_eq!(error.kind, TransportKind::TooLarge);
    run.sent(&[TOKEN]);

    // An id_token that a hook has slipped in is verified, and this one is signed by somebody else.
    let forger = Signer::generate();
    let forged = move |answer| {
        let claims = merged(id_claims(None), json!({ "sub": "mallory" }));
        let id_token = forger.id_token(&claims);
        Ok(with_member(answer, |members| members["id_token"] = json!(id_token)))
    };
    let client = builder(json!({})).hook(Hook::refresh_token_response(forged)).build().unwrap();
    let mut run = refresh(&client).answering([json(200, &tokens()), json(200, &Signer::shared().jwks())]);
    assert_eq!(run.start().failed(), Error::Security(SecurityError::Signature));
    run.sent(&[TOKEN, "GET https://as.example/jwks"]);

    // A refusal of a hook's making counts as the server's.
    let refused = Hook::refresh_token_response(|mut answer| {
        *answer.status_mut() = http::StatusCode::BAD_REQUEST;
        *answer.body_mut() = Body::new(br#"{"error":"invalid_grant"}"#.to_vec());
        Ok(answer)
    });
    let mut run = refresh(&builder(json!({})).hook(refused).build().unwrap()).answering([json(200, &tokens())]);
    let Error::Refused(refusal) = run.start().failed() else { panic!("it is refused") };
    assert!(refusal.is("invalid_grant"));
    run.sent(&[TOKEN]);
}

/// Says back what a request has in it, in the ways of the test that follows.
fn echoing(what: impl Fn(&View) -> String + 'static) -> Answer {
    Box::new(move |view| {
        let said = what(view);
        json(400, &json!({ "error": "invalid_client", "error_description": format!("no: {said}.") }))(view)
    })
}

#[test]
fn ca_11_what_hooks_put_into_a_request_is_in_no_error() {
    let hook = Hook::refresh_token_request(|request| {
        request.url.query_pairs_mut().append_pair("key", "query/key-7");
        request.headers.insert("x-api-key", HeaderValue::from_static("header-key-7"));
        request.form.push("api_key", "form key-7");
        let shown = format!("{request:?}");
        assert!(shown.contains("https://as.example/token") && !shown.contains("key-7"), "{shown}");
        Ok(())
    });
    let client = builder(json!({})).hook(hook).build().unwrap();
    for secret in ["query/key-7", "header-key-7", "form key-7"] {
        let mut run = refresh(&client).answering([echoing(move |_| secret.to_owned())]);
        run.secrets.extend(["query/key-7", "query%2Fkey-7", "header-key-7", "form key-7"].map(str::to_owned));
        let Error::Refused(refusal) = run.start().failed() else { panic!("it is refused") };
        assert_eq!(refusal.description.as_deref(), Some("no: [..]."));
        assert_eq!(run.last().field("api_key"), Some("form key-7"), "it was sent");
        run.sent(&["POST https://as.example/token?key=query%2Fkey-7"]);
    }
}

#[derive(Debug)]
struct Everywhere;

impl AuthenticationMethod for Everywhere {
    fn name(&self) -> &str {
        "everywhere"
    }

    fn apply(&self, request: &mut Credentials) -> Result<(), Error> {
        request.url.query_pairs_mut().append_pair("key", "query/key-7");
        request.headers.insert("x-api-key", HeaderValue::from_static("header-key-7"));
        // id:basic-key-7
        request.headers.insert("authorization", HeaderValue::from_static("Basic aWQ6YmFzaWMta2V5LTc="));
        request.headers.insert("proxy-authorization", HeaderValue::from_static("Token token-key-7"));
        let client_id = request.client_id.clone();
        request.form.push("client_id", client_id.as_str());
        request.form.push("api_key", "form key-7");
        Ok(())
    }
}

#[test]
fn ca_11_what_an_authentication_method_of_ones_own_puts_in_is_in_no_error() {
    let client = builder(json!({})).authentication(Authentication::Custom(Arc::new(Everywhere))).build().unwrap();
    let secrets = [
        "query/key-7",
        "header-key-7",
        "Basic aWQ6YmFzaWMta2V5LTc=",
        "aWQ6YmFzaWMta2V5LTc=",
        "basic-key-7",
        "token-key-7",
        "form key-7",
    ];
    for secret in secrets {
        for status in [200, 400, 401, 500] {
            let said = json!({ "error": "invalid_client", "error_description": format!("no: {secret}.") });
            let mut run = Run::new(ClientCredentials::new(&client, "", &Extras::default()).unwrap())
                .answering([json(status, &said)]);
            run.secrets.extend(secrets.map(str::to_owned));
            match run.start().failed() {
                Error::Refused(refusal) => assert_eq!(refusal.description.as_deref(), Some("no: [..].")),
                other => assert_eq!(status, 500, "{other}"),
            }
            run.sent(&["POST https://as.example/token?key=query%2Fkey-7"]);
        }
    }
    // The client's identifier is no secret.
    let mut run = Run::new(ClientCredentials::new(&client, "", &Extras::default()).unwrap())
        .answering([echoing(|_| format!("who is {CLIENT_ID}"))]);
    let Error::Refused(refusal) = run.start().failed() else { panic!("it is refused") };
    assert_eq!(refusal.description.as_deref(), Some("no: who is client."));
    run.sent(&["POST https://as.example/token?key=query%2Fkey-7"]);
}

#[test]
fn every_request_says_which_program_sends_it_unless_it_should_not() {
    let agents = |client: &Client| -> Vec<Option<String>> {
        let mut run = refresh(client);
        run.start().waits_for(EffectKind::Send);
        let token = run.last().header("user-agent").map(str::to_owned);
        run.sent(&[TOKEN]);
        let mut run = Run::new(UserInfo::new(client, &Secret::from("canary-access"), "alice").unwrap());
        run.start().waits_for(EffectKind::Send);
        let userinfo = run.last().header("user-agent").map(str::to_owned);
        run.sent(&["GET https://as.example/userinfo"]);
        let mut run = Run::new(grantflow_core::endpoint::Jwks::new(client).unwrap());
        run.start().waits_for(EffectKind::Send);
        let keys = run.last().header("user-agent").map(str::to_owned);
        run.sent(&["GET https://as.example/jwks"]);
        vec![token, userinfo, keys]
    };
    let usual = format!("grantflow/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(agents(&public()), vec![Some(usual); 3]);
    let other = builder(json!({})).user_agent("backup/2.1 (nightly)").build().unwrap();
    assert_eq!(agents(&other), vec![Some("backup/2.1 (nightly)".to_owned()); 3]);
    assert_eq!(agents(&builder(json!({})).no_user_agent().build().unwrap()), [None, None, None]);
    let broken = builder(json!({})).user_agent("a\r\nx-evil: 1").build().unwrap_err();
    assert!(matches!(broken, Error::Config(ConfigError::Invalid { setting: "user_agent", .. })), "{broken}");
}
