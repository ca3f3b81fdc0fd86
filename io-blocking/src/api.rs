//! Requests to resource servers. Every rule is the core's: its [`AuthorizedRequest`] is the machine, here is what drives it.
//!
//! [`AuthorizedRequest`]: grantflow_core::resource::AuthorizedRequest

use std::sync::Arc;
use std::time::Duration;

use grantflow_core::client::Client as Registered;
use grantflow_core::error::Error;
use grantflow_core::http::Body;
use grantflow_core::machine::Event;
use grantflow_core::manager::Credential;
use grantflow_core::resource::{Audience, Call, RequestSettings};
use grantflow_core::token::{Tester, Verdict};
use http::{Method, Response};

use crate::{Authorizer, Driver, Fixed, Nobody};

/// An API that takes somebody's token: where it is, and who gives the credential. Cheap to clone; clones share everything.
///
/// A response comes back as it is, whatever its status. A refused token is renewed and the request sent again, once. No
/// redirect is followed. The token goes to the [`Audience`] and nowhere else.
///
/// ```no_run
/// # fn example(session: grantflow_blocking::TokenHandle) -> Result<(), grantflow_blocking::core::Error> {
/// use grantflow_blocking::core::resource::Audience;
///
/// let api = session.api(Audience::only("https://api.example/v1")?);
/// let lights = api.get("lights?on=true")?; // https://api.example/v1/lights?on=true
/// println!("{} {} bytes", lights.status(), lights.body().len());
///
/// let off = api.request(http::Method::PUT, "lights/7").content("application/json", br#"{"on":false}"#.to_vec());
/// api.send(off)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Api {
    driver: Driver,
    audience: Audience,
    settings: RequestSettings,
}

impl Api {
    /// The API at `audience`, with what `authorizer` gives.
    pub fn new(driver: Driver, authorizer: Arc<dyn Authorizer>, audience: Audience) -> Self {
        Self { driver: driver.with_authorizer(authorizer), audience, settings: RequestSettings::new() }
    }

    /// Names the client that the tokens belong to: its hooks change the requests, and its key makes the proofs of tokens
    /// that are bound to it.
    pub fn with_client(self, client: &Registered) -> Self {
        self.with(|settings| settings.client(client))
    }

    /// Sets how long each sending may take, unless a call says otherwise. The default is 30 seconds.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.timeout(timeout))
    }

    /// Changes how requests are made.
    pub fn with(mut self, change: impl FnOnce(RequestSettings) -> RequestSettings) -> Self {
        self.settings = change(self.settings);
        self
    }

    /// Where tokens may go.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Gets a path below the audience's first base, or a whole URL within it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn get(&self, place: &str) -> Result<Response<Body>, Error> {
        self.send(self.request(Method::GET, place))
    }

    /// A request to a path below the audience's first base, or to a whole URL within it. It is not sent.
    pub fn request(&self, method: Method, place: &str) -> Call {
        Call::new(method, place, &self.audience)
    }

    /// Sends a [`request`](Self::request), an [`http::Request`] or a [`Template`](grantflow_core::resource::Template).
    ///
    /// # Errors
    /// What is wrong with the request, in which case nothing is sent; what keeps the credential from being had;
    /// [`Error::Transport`] when there is no answer. No status is an error.
    pub fn send(&self, call: impl Into<Call>) -> Result<Response<Body>, Error> {
        self.run(&self.driver, call.into())
    }

    /// Tests the token that is held, by asking the server if `tester` says so. Renews nothing and changes nothing.
    ///
    /// What the server is asked goes to the audience, with the token's headers. A credential that is no token fails.
    ///
    /// # Errors
    /// That no answer came is no verdict: [`Error::Transport`]. The test's request may be wrong as well, as in
    /// [`send`](Self::send).
    pub fn is_valid_by(&self, tester: &Tester) -> Result<bool, Error> {
        let held = self.driver.authorizer().and_then(|authorizer| authorizer.current());
        let tokens = held.as_ref().and_then(Credential::tokens);
        match (tester.judge(tokens.map(|tokens| &**tokens), self.driver.clock().now()), &held) {
            (Verdict::Passed, _) => Ok(true),
            (Verdict::Unproven(request), Some(held)) => {
                // Whatever the server says, the answer to "another one" is this one.
                let driver = self.driver.clone().with_authorizer(Arc::new(Fixed::from(held.clone())));
                let response = self.run(&driver, Call::from(*request).replacing_authorization())?;
                Ok(tester.accepts(&response))
            }
            (Verdict::Absent | Verdict::ErrorStored | Verdict::Expiring | Verdict::Unpresentable, _)
            | (Verdict::Unproven(_), None) => Ok(false),
        }
    }

    fn run(&self, driver: &Driver, call: Call) -> Result<Response<Body>, Error> {
        let mut machine = call.prepare(&self.audience, self.settings.clone())?;
        driver.run(&mut machine, Event::Start, &mut Nobody)
    }
}
