use std::time::Duration;

use super::client::*;
use crate::DevServer;

/// What a browser keeps: its cookie.
#[derive(Default)]
struct Browser(String);

impl Browser {
    fn get(&mut self, server: &DevServer, path: &str) -> Answered {
        let answer = send(server, "GET", path, &[("Cookie", &self.0)], "");
        self.keep(answer)
    }

    fn post(&mut self, server: &DevServer, form: &[(&str, &str)]) -> Answered {
        let answer = post_with(server, "/decision", &[("Cookie", &self.0)], form);
        self.keep(answer)
    }

    fn keep(&mut self, answer: Answered) -> Answered {
        if let Some((pair, _)) = answer.header("set-cookie").split_once(';') {
            self.0 = pair.to_owned();
        }
        answer
    }

    fn sign_in(&mut self, server: &DevServer, path: &str) -> Answered {
        let page = self.get(server, path);
        let token = form_token(&page);
        self.post(server, &login(&token))
    }
}

fn form_token(page: &Answered) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=request value=\"").unwrap_or_else(|| panic!("no form: {text}"));
    rest.split_once('"').unwrap().0.to_owned()
}

fn login(token: &str) -> [(&str, &str); 4] {
    [("request", token), ("decision", "allow"), ("username", "alice"), ("password", "wonderland")]
}

#[test]
fn sign_in_page_shows_client_and_scopes_and_leads_to_a_code() {
    let (server, _) = asking();
    let mut browser = Browser::default();
    let page = browser.get(&server, &authorization(&[("login_hint", "al\"ice")]));
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("Demo application"));
    assert!(text.contains("<li>openid</li><li>profile</li>"));
    assert!(text.contains("value=\"al&quot;ice\""));
    assert!(page.header("set-cookie").contains("HttpOnly; SameSite=Lax"));
    let answer = browser.post(&server, &login(&form_token(&page)));
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(redeem(&server, &answer.callback_value("code")).status, 200);
}

#[test]
fn pages_load_nothing_and_cannot_be_framed() {
    let (server, _) = asking();
    for path in [authorization(&[]), "/device".to_owned(), "/".to_owned(), authorization(&[("client_id", "x")])] {
        let page = get(&server, &path);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(policy.contains("script-src 'none'"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.text().contains("src="), "{path}");
        assert!(!page.text().contains("<link"), "{path}");
    }
}

#[test]
fn decision_needs_the_forms_token_and_the_browser_that_was_shown_it() {
    let (server, _) = asking();
    let mut browser = Browser::default();
    let page = browser.get(&server, &authorization(&[]));
    let token = form_token(&page);
    let without = browser.post(&server, &login(&token)[1..]);
    assert_eq!(without.status, 400);
    assert_eq!(browser.post(&server, &login("guess")).status, 400);
    assert_eq!(Browser::default().post(&server, &login(&token)).status, 403, "no cookie");
    let mut other = Browser::default();
    other.get(&server, &authorization(&[]));
    assert_eq!(other.post(&server, &login(&token)).status, 403, "another browser's cookie");
    assert_eq!(browser.post(&server, &login(&token)).status, 303);
    assert_eq!(browser.post(&server, &login(&token)).status, 400, "the token works once");
}

#[test]
fn wrong_password_shows_the_page_again() {
    let (server, _) = asking();
    let mut browser = Browser::default();
    let token = form_token(&browser.get(&server, &authorization(&[])));
    for (name, password) in [("alice", "wrong"), ("nobody", "wonderland"), ("alice", "")] {
        let form = [("request", &*token), ("decision", "allow"), ("username", name), ("password", password)];
        let again = browser.post(&server, &form);
        assert_eq!(again.status, 200);
        assert!(again.text().contains("role=alert"));
        assert_eq!(form_token(&again), token);
    }
    assert_eq!(browser.post(&server, &login(&token)).status, 303);
}

#[test]
fn deny_sends_access_denied_back() {
    let (server, _) = asking();
    let mut browser = Browser::default();
    let token = form_token(&browser.get(&server, &authorization(&[])));
    let answer = browser.post(&server, &[("request", &token), ("decision", "deny")]);
    assert_eq!(answer.callback_value("error"), "access_denied");
    assert_eq!(answer.callback_value("state"), "some-state");
}

#[test]
fn form_expires() {
    let (server, time) = asking();
    let mut browser = Browser::default();
    let token = form_token(&browser.get(&server, &authorization(&[])));
    time.advance(Duration::from_secs(600));
    assert_eq!(browser.post(&server, &login(&token)).status, 400);
}

#[test]
fn signing_in_changes_the_cookie() {
    let (server, _) = asking();
    let mut browser = Browser::default();
    let token = form_token(&browser.get(&server, &authorization(&[])));
    let before = browser.0.clone();
    browser.post(&server, &login(&token));
    assert_ne!(browser.0, before);
}

#[test]
fn second_login_asks_for_consent_only_and_keeps_the_sign_in_time() {
    let (server, time) = asking();
    let mut browser = Browser::default();
    browser.sign_in(&server, &authorization(&[]));
    time.advance(Duration::from_secs(50));
    let page = browser.get(&server, &authorization(&[("max_age", "50")]));
    assert!(page.text().contains("signed in as <strong>alice</strong>"));
    assert!(!page.text().contains("password"));
    let answer = browser.post(&server, &[("request", &form_token(&page)), ("decision", "allow")]);
    let token = redeem(&server, &answer.callback_value("code")).member("id_token");
    assert_eq!(claims_of(&token)["auth_time"], START.as_secs());
}

#[test]
fn prompt_login_and_max_age_demand_the_password_again() {
    let (server, time) = asking();
    let mut browser = Browser::default();
    browser.sign_in(&server, &authorization(&[]));
    time.advance(Duration::from_secs(51));
    for change in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "50"), ("max_age", "0")] {
        let page = browser.get(&server, &authorization(&[change]));
        assert!(page.text().contains("name=password"), "{change:?}");
        let token = form_token(&page);
        let bare = browser.post(&server, &[("request", &token), ("decision", "allow")]);
        assert_eq!(bare.status, 200, "the session alone is not enough");
    }
    let answer = browser.sign_in(&server, &authorization(&[("max_age", "50")]));
    let token = redeem(&server, &answer.callback_value("code")).member("id_token");
    assert_eq!(claims_of(&token)["auth_time"], START.as_secs() + 51);
}

#[test]
fn max_age_zero_demands_the_password_at_once() {
    let (server, _) = asking();
    let mut browser = Browser::default();
    browser.sign_in(&server, &authorization(&[]));
    let page = browser.get(&server, &authorization(&[("max_age", "0")]));
    assert!(page.text().contains("name=password"));
}

#[test]
fn prompt_none_never_shows_a_page() {
    let (server, time) = asking();
    let mut browser = Browser::default();
    let silent = |browser: &mut Browser, changes: &[(&str, &str)]| {
        let changes = [&[("prompt", "none")], changes].concat();
        browser.get(&server, &authorization(&changes))
    };
    assert_eq!(silent(&mut browser, &[]).callback_value("error"), "login_required");
    browser.sign_in(&server, &authorization(&[]));
    assert_ne!(silent(&mut browser, &[]).callback_value("code"), "");
    let more = silent(&mut browser, &[("scope", "openid profile email")]);
    assert_eq!(more.callback_value("error"), "consent_required");
    let other = silent(&mut browser, &[("client_id", "demo-service")]);
    assert_eq!(other.callback_value("error"), "consent_required");
    time.advance(Duration::from_secs(2));
    assert_eq!(silent(&mut browser, &[("max_age", "1")]).callback_value("error"), "login_required");
}

#[test]
fn device_page_asks_for_the_code_and_then_for_the_decision() {
    let (server, time) = asking();
    let device = start_device(&server);
    let code = device.member("user_code");
    let mut browser = Browser::default();
    assert!(browser.get(&server, "/device").text().contains("name=user_code"));
    assert!(browser.get(&server, "/device?user_code=XXXX-XXXX").text().contains("role=alert"));
    let typed = code.to_lowercase().replace('-', "%20");
    let page = browser.get(&server, &format!("/device?user_code={typed}"));
    assert!(page.text().contains(&code), "{}", page.text());
    assert!(page.text().contains("Demo application"));
    let done = browser.post(&server, &login(&form_token(&page)));
    assert_eq!(done.status, 200);
    assert!(done.text().contains("connected"));
    time.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &device.member("device_code")).status, 200);
    assert!(browser.get(&server, &format!("/device?user_code={code}")).text().contains("used before"));
}

#[test]
fn device_page_can_turn_a_device_away() {
    let (server, _) = asking();
    let device = start_device(&server);
    let complete = device.member("verification_uri_complete");
    let path = complete.strip_prefix(&server.issuer()).unwrap();
    let mut browser = Browser::default();
    let token = form_token(&browser.get(&server, path));
    browser.post(&server, &[("request", &token), ("decision", "deny")]);
    assert_eq!(poll(&server, &device.member("device_code")).member("error"), "access_denied");
}

#[test]
fn decision_about_an_expired_device_comes_too_late() {
    let (server, time) = asking();
    let code = start_device(&server).member("user_code");
    time.advance(Duration::from_secs(599));
    let mut browser = Browser::default();
    let token = form_token(&browser.get(&server, &format!("/device?user_code={code}")));
    time.advance(Duration::from_secs(1));
    assert_eq!(browser.post(&server, &login(&token)).status, 400);
}
