//! The person: a browser that shows no page, and a device's screen.

use std::sync::Arc;

use grantflow_core::Error;
use grantflow_core::callback::CallbackParams;
use grantflow_core::error::BadCallback;
use grantflow_core::machine::{Redirect, UserCode};
use grantflow_tokio::Pending;
use url::{Url, form_urlencoded};

use super::{World, visit};

/// Goes where redirects lead and comes back with what the server sends. After a callback that the flow did not want,
/// nobody comes back any more.
pub struct Traveller {
    world: World,
    /// Why callbacks were not wanted.
    pub refused: Vec<BadCallback>,
    /// What the flow showed, as a person reads it.
    pub shown: Vec<String>,
}

impl Traveller {
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), refused: Vec::new(), shown: Vec::new() }
    }

    /// The callback; `None` once the time is over.
    pub fn away(&mut self, redirect: &Redirect) -> Option<CallbackParams> {
        self.world.ears.hear_debug(redirect);
        if let Some(why) = redirect.refused {
            self.refused.push(why);
            self.world.clock.jump(redirect.expires_at);
            return None;
        }
        let back = self.authorize(&redirect.url, &redirect.redirect_uri);
        if back.is_none() {
            self.world.clock.jump(redirect.expires_at);
        }
        back.map(|back| back.params())
    }

    /// Asks the authorization endpoint; `None` if it sends nobody back.
    pub fn authorize(&self, url: &Url, redirect_uri: &str) -> Option<Back> {
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "state" => self.world.ears.keep("state", &value),
                "nonce" => self.world.ears.keep("nonce", &value),
                _ => {}
            }
        }
        let page = visit("GET", url, None);
        let back = match (page.status, page.location) {
            (303, Some(location)) => {
                assert!(location.starts_with(&format!("{redirect_uri}?")), "{location}");
                Back::Url(location)
            }
            (200, None) => {
                assert!(page.text.contains(&format!("action=\"{redirect_uri}\"")), "{}", page.text);
                Back::Form(posted(&page.text))
            }
            (400, None) => return None,
            other => panic!("{other:?}: {}", page.text),
        };
        let callback = back.params();
        if let Some(code) = callback.code() {
            self.world.ears.keep("code", code.expose());
        }
        self.world.ears.hear_debug(&callback);
        Some(back)
    }

    pub fn show(&mut self, code: &UserCode) {
        self.world.ears.hear_debug(code);
        let url = |url: &Option<Url>| url.as_ref().map_or("none", |url| url.path()).to_owned();
        let seconds = code.expires_at.since(self.world.clock.now()).as_secs();
        assert_eq!(self.world.server.waiting_devices(), [code.user_code.expose().as_str()]);
        self.shown.push(format!(
            "{} openable={} complete={} for {seconds} s",
            self.world.masked(&code.verification_uri),
            url(&code.openable),
            url(&code.complete)
        ));
    }
}

/// With what a browser comes back to the redirect URI.
pub enum Back {
    Url(String),
    Form(String),
}

impl Back {
    pub fn params(&self) -> CallbackParams {
        match self {
            Back::Url(url) => CallbackParams::from_url(url).unwrap(),
            Back::Form(form) => CallbackParams::from_form(form.as_bytes()).unwrap(),
        }
    }
}

/// The body that a browser posts from the page that carries a form_post answer.
pub fn posted(page: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for input in page.split("<input type=hidden ").skip(1) {
        let attribute = |name: &str| {
            let (_, rest) = input.split_once(&format!("{name}=\"")).unwrap();
            unescaped(rest.split_once('"').unwrap().0)
        };
        form.append_pair(&attribute("name"), &attribute("value"));
    }
    form.finish()
}

pub fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, char)| text.replace(entity, char))
}

impl grantflow_tokio::Person for Traveller {
    fn redirect<'a>(
        &'a mut self,
        redirect: Redirect,
        _: &'a Arc<dyn grantflow_tokio::Clock>,
    ) -> Pending<'a, grantflow_tokio::Came> {
        Box::pin(
            async move { self.away(&redirect).map_or(grantflow_tokio::Came::TooLate, grantflow_tokio::Came::Back) },
        )
    }

    fn show_user_code(&mut self, code: &UserCode) -> Result<(), Error> {
        self.show(code);
        Ok(())
    }
}

impl grantflow_blocking::Person for Traveller {
    fn redirect(
        &mut self,
        redirect: Redirect,
        _: &dyn grantflow_blocking::Clock,
        _: &grantflow_blocking::Cancel,
    ) -> grantflow_blocking::Came {
        self.away(&redirect).map_or(grantflow_blocking::Came::TooLate, grantflow_blocking::Came::Back)
    }

    fn show_user_code(&mut self, code: &UserCode) -> Result<(), Error> {
        self.show(code);
        Ok(())
    }
}
