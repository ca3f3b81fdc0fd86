//! The last steps of every grant: the answer is read, held against what was asked, and its id_token verified.
//!
//! A flow that has a token request to make runs a [`Redeeming`] in its states `Exchanging` and `FetchingKeys`. What is
//! enforced here, without the caller's help: issuer, audience, signature, nonce, `max_age`, `acr`, `at_hash`, scope, and
//! for a refresh that the person is the same one.

use core::time::Duration;

use super::Asked;
use super::asked::IdTokenDemand;
use crate::client::Lifetime;
use crate::client::has_changed;
use crate::endpoint::exchange::{Exchange, Plan};
use crate::endpoint::jwks::Jwks;
use crate::endpoint::nested::{self, BROKEN, Forwarded};
use crate::error::{Endpoint, Error, Rule};
use crate::http::Body;
use crate::jose::{Binding, IdTokenRules, JwkSet, NonceRule, Requirement, VerifyError, judge_unverified, verify};
use crate::machine::{Check, Context, Effect, Event, Finding, Observer, StateId, Step, Table, Turn};
use crate::token::answer::{self, IdToken, Proof};
use crate::token::refusal;
use crate::token::{Note, Person, TokenSet};

/// The state in which the token request is made.
pub(crate) const EXCHANGING: StateId = StateId("Exchanging");
/// The state in which the server's keys are fetched, because those at hand do not fit the id_token.
pub(crate) const FETCHING_KEYS: StateId = StateId("FetchingKeys");

pub(crate) const ISSUED: Finding = Finding("Issued");
pub(crate) const ISSUED_VERIFIED: Finding = Finding("IssuedVerified");
pub(crate) const KEYS_MISSING: Finding = Finding("KeysMissing");
pub(crate) const GRANT_REFUSED: Finding = Finding("GrantRefused");
pub(crate) const UNTRUSTED: Finding = Finding("Untrusted");
pub(crate) const KEYS_FIT: Finding = Finding("KeysFit");
pub(crate) const OLD_KEYS_FIT: Finding = Finding("OldKeysFit");
pub(crate) const SET_ASIDE: Finding = Finding("SetAside");
pub(crate) const KEYS_DO_NOT_FIT: Finding = Finding("KeysDoNotFit");

/// The part of a flow in which a grant is exchanged for tokens.
#[derive(Debug)]
pub(crate) enum Redeeming {
    Exchanging(Box<(Exchange, Asked)>),
    FetchingKeys(Box<(Jwks, Tokens)>),
}

/// Tokens whose id_token has not been verified yet. Nobody outside sees them.
#[derive(Debug)]
pub(crate) struct Tokens {
    asked: Asked,
    tokens: TokenSet,
}

/// What an event did, and what goes on running; `None` when the flow is complete or has ended.
pub(crate) type Redeemed = (Turn<TokenSet>, Option<Redeeming>);

impl Redeeming {
    /// Makes the token request.
    pub(crate) fn begin(plan: Plan, asked: Asked, cx: &mut Context<'_>) -> Result<(Self, Effect), Error> {
        let (exchange, effect) = Exchange::started(plan, cx)?;
        Ok((Self::Exchanging(Box::new((exchange, asked))), effect))
    }

    pub(crate) fn state(&self) -> StateId {
        match self {
            Redeeming::Exchanging(_) => EXCHANGING,
            Redeeming::FetchingKeys(_) => FETCHING_KEYS,
        }
    }

    pub(crate) fn leaf(&self) -> (&'static Table, StateId) {
        match self {
            Redeeming::Exchanging(running) => nested::leaf(&running.0),
            Redeeming::FetchingKeys(running) => nested::leaf(&running.0),
        }
    }

    pub(crate) fn apply(self, event: Event, cx: &mut Context<'_>) -> Redeemed {
        match self {
            Redeeming::Exchanging(mut running) => match nested::forward(&mut running.0, event, cx) {
                Forwarded::More(effect) => (Turn::Inner(effect), Some(Redeeming::Exchanging(running))),
                Forwarded::Broken(error) => (Turn::Ended(BROKEN, error), None),
                Forwarded::Done(response) => match parsed(&running.1, &response, cx) {
                    Ok(tokens) => verified(running.1, tokens, cx),
                    Err(error) => (Turn::Ended(GRANT_REFUSED, error), None),
                },
            },
            Redeeming::FetchingKeys(mut running) => match nested::forward(&mut running.0, event, cx) {
                Forwarded::More(effect) => (Turn::Inner(effect), Some(Redeeming::FetchingKeys(running))),
                Forwarded::Broken(error) => running.1.with_old_keys(error, cx),
                Forwarded::Done(keys) => running.1.with_new_keys(&keys, cx),
            },
        }
    }
}

/// Reads a token answer; for grants without an id_token this is all.
pub(crate) fn parsed(asked: &Asked, response: &http::Response<Body>, cx: &Context<'_>) -> Result<TokenSet, Error> {
    let tolerance = asked.client.tolerance();
    let expectation = answer::Expectation {
        leniency: tolerance.leniency,
        requested: &asked.scopes,
        proof: asked.client.proof_key().map_or(Proof::NotSent, |_| tolerance.proof),
        token_types: &tolerance.token_types,
        wider_scope: tolerance.wider_scope,
        separator: tolerance.separator,
        id_token: match asked.id_token {
            IdTokenDemand::Required => IdToken::Required,
            IdTokenDemand::Welcome | IdTokenDemand::Ignored => IdToken::Optional,
        },
    };
    let mut tokens = answer::parse(response, &expectation, cx.now, Endpoint::Token)?;
    if tolerance.lifetime == Lifetime::Required && tokens.expires_at().is_none() {
        return Err(refusal::broken(response, Endpoint::Token, Rule::MemberMissing("expires_in")));
    }
    if has_changed(response) {
        tokens.notes.push(Note::Hooked);
    }
    if asked.client.asks_by_get() {
        tokens.notes.push(Note::AskedByGet);
    }
    tokens.resources.clone_from(&asked.resources);
    tokens.person.clone_from(&asked.person);
    Ok(tokens.keeping(asked.spent.as_ref()))
}

/// Verifies the id_token among tokens, with the keys at hand or with fresh ones.
pub(crate) fn verified(asked: Asked, tokens: TokenSet, cx: &mut Context<'_>) -> Redeemed {
    if tokens.id_token().is_none() || asked.id_token == IdTokenDemand::Ignored {
        return (Turn::Moved(ISSUED, Step::Done(tokens)), None);
    }
    let tokens = Tokens { asked, tokens };
    let Some(keys) = cx.memory.keys(tokens.issuer(), cx.now) else {
        // What no key can make right is refused before any is asked for.
        return match tokens.verified_ahead(cx) {
            Ok(_) => (Turn::Ended(UNTRUSTED, Error::Bug("an id_token that was verified without a key")), None),
            Err(Unverified::Failed(error)) => (Turn::Ended(UNTRUSTED, error), None),
            Err(Unverified::KeysMissing(tokens, why)) => tokens.fetch_keys(why, cx),
        };
    };
    match tokens.verified(&keys, cx) {
        Ok(tokens) => (Turn::Moved(ISSUED_VERIFIED, Step::Done(tokens)), None),
        Err(Unverified::Failed(error)) => (Turn::Ended(UNTRUSTED, error), None),
        Err(Unverified::KeysMissing(tokens, why)) => tokens.fetch_keys(why, cx),
    }
}

/// Tells of what was refused; that no key was found does not count before any was fetched.
struct Refusals<'a>(Option<&'a mut dyn Observer>);

impl Observer for Refusals<'_> {
    fn check(&mut self, check: &Check<'_>) {
        if let Some(observer) = self.0.as_deref_mut().filter(|_| !check.passed && check.name != "signature") {
            observer.check(check);
        }
    }
}

fn done(tokens: TokenSet) -> Redeemed {
    (Turn::Moved(SET_ASIDE, Step::Done(tokens)), None)
}

fn ended(finding: Finding) -> impl FnOnce(Error) -> Redeemed {
    move |error| (Turn::Ended(finding, error), None)
}

/// Why tokens were not verified.
enum Unverified {
    KeysMissing(Box<Tokens>, Error),
    Failed(Error),
}

impl Tokens {
    fn issuer(&self) -> &str {
        self.asked.client.server().issuer()
    }

    /// Fetches the server's keys, unless that was done less than a minute ago; `why` is then what is wrong.
    fn fetch_keys(self, why: Error, cx: &mut Context<'_>) -> Redeemed {
        if !cx.memory.may_fetch_keys(self.issuer(), cx.now) {
            return self.set_aside(why, cx).map_or_else(ended(UNTRUSTED), done);
        }
        match Jwks::started(&self.asked.client, cx) {
            Ok((jwks, effect)) => {
                (Turn::Moved(KEYS_MISSING, Step::Do(effect)), Some(Redeeming::FetchingKeys(Box::new((jwks, self)))))
            }
            Err(error) => (Turn::Ended(UNTRUSTED, error), None),
        }
    }

    fn with_new_keys(self, keys: &JwkSet, cx: &mut Context<'_>) -> Redeemed {
        match self.verified(keys, cx) {
            Ok(tokens) => (Turn::Moved(KEYS_FIT, Step::Done(tokens)), None),
            Err(Unverified::Failed(error)) => (Turn::Ended(KEYS_DO_NOT_FIT, error), None),
            Err(Unverified::KeysMissing(tokens, error)) => {
                cx.memory.keys_did_not_fit(tokens.issuer(), cx.now);
                tokens.set_aside(error, cx).map_or_else(ended(KEYS_DO_NOT_FIT), done)
            }
        }
    }

    /// The keys cannot be had: those of the last hour will do, if the token is signed with one of them.
    fn with_old_keys(self, error: Error, cx: &mut Context<'_>) -> Redeemed {
        cx.memory.keys_fetch_failed(self.issuer(), cx.now);
        let keys = cx.memory.keys(self.issuer(), cx.now).unwrap_or_default();
        match self.verified(&keys, cx) {
            Ok(tokens) => (Turn::Moved(OLD_KEYS_FIT, Step::Done(tokens)), None),
            Err(Unverified::KeysMissing(tokens, _)) => tokens.set_aside(error, cx).map_or_else(ended(BROKEN), done),
            Err(Unverified::Failed(_)) => (Turn::Ended(BROKEN, error), None),
        }
    }

    /// Goes on without the id_token of a refresh when no key for it can be had. The refresh token that came with it may be
    /// the only one that still works, and who the person is was verified at the login. What can be checked without a key is.
    fn set_aside(self, why: Error, cx: &Context<'_>) -> Result<TokenSet, Error> {
        if self.asked.spent.is_none() {
            return Err(why);
        }
        let Tokens { asked, mut tokens } = self;
        if let Some(id_token) = &tokens.id_token {
            judge_unverified(id_token, &rules(&asked, &tokens), cx.now, cx.crypto)?;
        }
        tokens.id_token = None;
        tokens.notes.push(Note::IdTokenSetAside);
        Ok(tokens)
    }

    /// Verifies as far as that is possible without keys.
    fn verified_ahead(self, cx: &mut Context<'_>) -> Result<TokenSet, Unverified> {
        let (now, crypto) = (cx.now, cx.crypto);
        let Context { random, memory, observer, .. } = cx;
        let mut refusals = Refusals(match observer {
            Some(observer) => Some(&mut **observer),
            None => None,
        });
        let mut ahead = Context { now, random: &mut **random, crypto, memory, observer: Some(&mut refusals) };
        self.verified(&JwkSet::default(), &mut ahead)
    }

    fn verified(self, keys: &JwkSet, cx: &mut Context<'_>) -> Result<TokenSet, Unverified> {
        let (asked, mut tokens) = (self.asked, self.tokens);
        let Some(id_token) = tokens.id_token() else {
            return Err(Unverified::Failed(Error::Bug("an id_token that went missing")));
        };
        let rules = rules(&asked, &tokens);
        let verified = verify(id_token, keys, &rules, cx.now, cx.crypto, cx.watch());
        match verified {
            Ok(identity) => {
                tokens.person = Some(Person::of(&identity));
                tokens.identity = Some(identity);
                Ok(tokens)
            }
            Err(VerifyError::KeysMissing(why)) => Err(Unverified::KeysMissing(Box::new(Tokens { asked, tokens }), why)),
            Err(VerifyError::Failed(error)) => Err(Unverified::Failed(error)),
        }
    }
}

/// What the id_token of these tokens is held to.
fn rules<'a>(asked: &'a Asked, tokens: &'a TokenSet) -> IdTokenRules<'a> {
    let tolerance = asked.client.tolerance();
    let mut rules = IdTokenRules::new(asked.client.server().issuer(), asked.client.client_id());
    rules.issuer_rule = tolerance.issuer_rule;
    rules.algorithms = &tolerance.algorithms;
    rules.trusted_audiences = &tolerance.trusted_audiences;
    rules.nonce = match (&asked.nonce, &asked.spent) {
        (Some(nonce), _) => NonceRule::Equal(nonce),
        (None, None) => NonceRule::Absent,
        // A refreshed id_token may repeat the nonce of a login that is long past (OpenID Connect Core §12.2).
        (None, Some(_)) => NonceRule::Unchecked,
    };
    // A refreshed id_token must be about the same person (OpenID Connect Core §12.2). Of several tenants, the same one.
    if let Some(person) = &asked.person {
        rules.issuer = &person.issuer;
        rules.subject = Some(&person.subject);
    }
    rules.max_age = asked.max_age.map(Duration::from_secs);
    rules.acr_values = &asked.acr_values;
    rules.access_token = Some(Binding { secret: tokens.access_token(), requirement: Requirement::Optional });
    rules
}
