//! Logins that are kept: saved, printed fresh, signed out.

use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use grantflow_core::Secret;
use grantflow_core::client::Client;
use grantflow_core::endpoint::Revocation;
use grantflow_core::endpoint::revocation::TokenKind;
use grantflow_core::error::{Error, LoginNeeded};
use grantflow_core::machine::Event;
use grantflow_core::manager::{Change, SignedOut, Source};
use grantflow_core::store::{Life, StoreKey};
use grantflow_core::token::{TokenSet, TokenType};
use grantflow_stores::Store;
use grantflow_tokio::{Clock, Driver, Nobody, SystemClock, Tokens};
use serde_json::{Map, Value};

use crate::args::{Cli, Kind, RevokeArgs, SaveArgs, SavedTokenArgs, ServerArgs};
use crate::exit::{Artefact, Failure};
use crate::kept::{Held, Kept, Login, Taken};
use crate::profile::{self, Profile};
use crate::trace::{Trace, say};
use crate::{connect, curl, output, run};

/// A login that is to be kept.
#[derive(Debug)]
pub(crate) struct Saving {
    kept: Kept,
    name: String,
    profile: Profile,
    taken: Taken,
}

impl Saving {
    /// Finds out whether the login may be kept, before anybody logs in. `None` if it is not to be.
    pub(crate) fn of(
        args: &SaveArgs,
        server: &ServerArgs,
        scope: &str,
        store: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let Some(name) = &args.save else { return Ok(None) };
        Self::under(name, args, server, scope, store).map(Some)
    }

    /// The same, under a name that there is in any case.
    pub(crate) fn under(
        name: &str,
        args: &SaveArgs,
        server: &ServerArgs,
        scope: &str,
        store: Option<&str>,
    ) -> Result<Self, Failure> {
        profile::check_name(name, subcommands_of_token())?;
        let profile = Profile::of(server, scope, &args.audience)?;
        curl::audience(&args.audience)?;
        let taken = if args.replace { Taken::Replace } else { Taken::Respect };
        let kept = Kept::open(store)?;
        kept.admit(name, &profile, taken)?;
        Ok(Self { kept, name: name.to_owned(), profile, taken })
    }

    /// Keeps it, as a whole: of two who save under one name at once, the tokens and the profile of one are there in the end.
    /// The profile comes first: tokens that nobody finds are worse than a name without tokens.
    pub(crate) fn keep(self, driver: Driver, client: Option<&Client>, tokens: TokenSet) -> Result<(), Failure> {
        let Self { kept, name, mut profile, taken } = self;
        profile.authentication_method = client.map(|client| client.authentication_method().to_owned());
        let claimed = kept.claim(&name)?;
        let login = kept.save_profile(&name, profile, taken)?;
        adopt(driver, &kept, &login, tokens)?;
        drop(claimed);
        say(format_args!("Saved as {name}. `grantflow token {name}` prints a fresh token."));
        Ok(())
    }
}

/// What `grantflow token` would not take for a name.
fn subcommands_of_token() -> Vec<String> {
    let command = Cli::command();
    let token = command.get_subcommands().find(|command| command.get_name() == "token");
    let names = token.into_iter().flat_map(clap::Command::get_subcommands).flat_map(|command| {
        std::iter::once(command.get_name()).chain(command.get_all_aliases()).map(str::to_owned).collect::<Vec<_>>()
    });
    names.chain(["help".to_owned()]).collect()
}

/// Writes tokens in place of whatever is kept.
pub(crate) fn adopt(driver: Driver, kept: &Kept, login: &Login, tokens: TokenSet) -> Result<(), Failure> {
    let handle = Tokens::new(driver, Ok(login.key.clone()), Source::Delegated).with_store(kept.store()).open()?;
    let mut changes = handle.subscribe();
    run::block_on_uncut(|uncut| async move {
        let adopted = uncut.run(async move { handle.adopt(tokens).await }).await?;
        match changes.try_next() {
            Some(Change::Unsaved(error)) => Err(Failure::Flow(error.into())),
            // Tokens whose time is over are kept all the same.
            Some(Change::Renewed | Change::Saved | Change::Trouble(_) | Change::LoginNeeded(_)) => Ok(()),
            Some(_) | None => adopted.map(|_| ()).map_err(Failure::Flow),
        }
    })
}

/// Refuses tokens that are worth nothing without a key (RFC 9449), which this command does not have: a header without its
/// proof would be refused, and so would a renewal.
pub(crate) fn check_unbound(whose: &str, tokens: &TokenSet) -> Result<(), Failure> {
    match tokens.token_type() {
        TokenType::Dpop => Err(Failure::Settings(format!(
            "{whose}: the tokens are bound to a key (DPoP) that grantflow does not have; only the program that has it can use them"
        ))),
        TokenType::Bearer | TokenType::Other(_) => Ok(()),
    }
}

/// `grantflow token NAME`
pub(crate) fn token(args: &SavedTokenArgs, kept: &Kept, trace: Trace) -> Result<Artefact, Failure> {
    let name = args.name.as_deref().unwrap_or_default();
    let login = kept.login(name)?;
    let tokens = fresh(kept, &login, args.min_life.map(Duration::from_secs), trace)?;
    output::artefact_of_saved(&tokens, args.output)
}

/// Tokens that work now, and for `min_life` if that is demanded. While they are fresh, nobody is asked for anything.
fn fresh(kept: &Kept, login: &Login, min_life: Option<Duration>, trace: Trace) -> Result<Arc<TokenSet>, Failure> {
    let now = SystemClock.now();
    let Held { life, tokens } = kept.held(login)?.ok_or_else(|| needed(login, &LoginNeeded::NoSession))?;
    if life == Life::Ended {
        return Err(needed(login, &LoginNeeded::Ended(None)));
    }
    check_unbound(&login.name, &tokens)?;
    let is_enough = |tokens: &TokenSet| {
        let end = tokens.expires_at();
        min_life.is_none_or(|least| end.is_none_or(|end| end.since(now) >= least && now < end))
    };
    if tokens.is_fresh(now) && is_enough(&tokens) {
        return Ok(Arc::new(tokens));
    }
    if tokens.refresh_token().is_none() {
        return match tokens.is_expired(now) || !is_enough(&tokens) {
            true => Err(needed(login, &LoginNeeded::NotRenewable)),
            false => Ok(Arc::new(tokens)),
        };
    }
    let margin = tokens.renewal_margin();
    let renewal =
        Renewal { store: kept.store(), key: login.key.clone(), skew: min_life.map(|least| least.max(margin)) };
    let driver = trace.driver();
    let outcome = run::block_on_uncut(|uncut| async move {
        let client = connect::client_of(&driver, &login.profile).await?;
        uncut.run(renewal.run(driver, client)).await?
    });
    let (tokens, trouble) = match outcome {
        Ok(renewed) => renewed,
        // The server cannot even be looked up.
        Err(Failure::Flow(error @ (Error::Transport(_) | Error::Expired(_)))) if !tokens.is_expired(now) => {
            (Arc::new(tokens), Some(error))
        }
        Err(Failure::Flow(Error::LoginNeeded(why))) => return Err(needed(login, &why)),
        Err(failure) => return Err(failure),
    };
    match (trouble, is_enough(&tokens)) {
        (None, true) => Ok(tokens),
        (Some(Error::LoginNeeded(why)), false) => Err(needed(login, &why)),
        (Some(error), false) => Err(Failure::Flow(error)),
        (Some(error), true) => {
            say(format_args!("The token still works, but it could not be renewed: {error}"));
            Ok(tokens)
        }
        (None, false) => {
            Err(Failure::Answer("the server's tokens do not live as long as --min-life demands".to_owned()))
        }
    }
}

/// Whether the tokens of a login must be renewed before they are used.
pub(crate) fn is_due(kept: &Kept, login: &Login) -> Result<bool, Failure> {
    let Held { life, tokens } = kept.held(login)?.ok_or_else(|| needed(login, &LoginNeeded::NoSession))?;
    let now = SystemClock.now();
    check_unbound(&login.name, &tokens)?;
    match (life, tokens.refresh_token()) {
        (Life::Ended, _) => Err(needed(login, &LoginNeeded::Ended(None))),
        (Life::Live, None) if tokens.is_expired(now) => Err(needed(login, &LoginNeeded::NotRenewable)),
        (Life::Live, None) => Ok(false),
        (Life::Live, Some(_)) => Ok(!tokens.is_fresh(now)),
    }
}

/// `grantflow revoke NAME`
pub(crate) fn revoke(args: &RevokeArgs, kept: &Kept, trace: Trace) -> Result<Artefact, Failure> {
    let login = kept.login(&args.name)?;
    let Held { tokens, .. } = kept.held(&login)?.ok_or_else(|| needed(&login, &LoginNeeded::NoSession))?;
    let (token, kind) = match (args.kind, tokens.refresh_token()) {
        (Kind::Access, _) => (tokens.access_token(), TokenKind::Access),
        (Kind::Refresh, Some(token)) => (token, TokenKind::Refresh),
        (Kind::Refresh, None) => {
            return Err(Failure::Settings(format!("{} has no refresh token; try --kind access", args.name)));
        }
    };
    let (driver, profile) = (trace.driver(), &login.profile);
    run::block_on(async {
        let client = connect::client_of(&driver, profile).await?;
        let mut flow = Revocation::new(&client, token, kind)?;
        Ok(driver.run(&mut flow, Event::Start, &mut Nobody).await?)
    })?;
    adopt(driver, kept, &login, without(&tokens, args.kind)?)?;
    say(format_args!("The server has revoked it."));
    Ok(Artefact::new(String::new()))
}

/// The tokens after one was revoked. A server that revokes a refresh token may revoke the access token with it
/// (RFC 7009 section 2.1), so that is used no more either way.
fn without(tokens: &TokenSet, kind: Kind) -> Result<TokenSet, Failure> {
    let now = SystemClock.now();
    let broken = || Failure::Flow(Error::Bug("a record that cannot be read"));
    let mut record: Map<String, Value> = serde_json::from_slice(tokens.to_record().expose()).map_err(|_| broken())?;
    record.insert("expires_at".to_owned(), now.as_secs().into());
    match kind {
        Kind::Refresh => record.remove("refresh_token"),
        Kind::Access => None,
    };
    let bytes = Secret::new(serde_json::to_vec(&record).map_err(|_| broken())?);
    TokenSet::from_record(bytes.expose(), now).map_err(|_| broken())
}

/// One renewal, as a token manager does it: claimed, so that of all processes one spends the refresh token.
struct Renewal {
    store: Arc<dyn Store>,
    key: StoreKey,
    skew: Option<Duration>,
}

impl Renewal {
    /// The tokens in force, and why they could not be renewed if they could not.
    async fn run(self, driver: Driver, client: Client) -> Result<(Arc<TokenSet>, Option<Error>), Failure> {
        let Self { store, key, skew } = self;
        let tokens = Tokens::new(driver, Ok(key), Source::Session(client)).with_store(store);
        let handle = tokens.with(|settings| skew.map_or(settings.clone(), |skew| settings.with_skew(skew))).open()?;
        let mut changes = handle.subscribe();
        let credential = handle.credential().await?;
        let trouble = match changes.try_next() {
            Some(Change::Trouble(trouble)) => Some(trouble.error),
            Some(Change::LoginNeeded(why)) => Some(why.into()),
            Some(_) | None => None,
        };
        if let Some(error) = credential.unsaved() {
            // A token that nobody finds again would end the login at the next renewal.
            say(format_args!("The new token works, but it could not be saved: {error}"));
            return Err(Failure::Flow(error.clone().into()));
        }
        let tokens = credential.tokens().ok_or(Error::Bug("a session without tokens"))?;
        Ok((Arc::clone(tokens), trouble))
    }
}

fn needed(login: &Login, why: &LoginNeeded) -> Failure {
    let name = &login.name;
    Failure::LoginNeeded(format!("{name}: {why}; log in with `grantflow login … --save {name}`"))
}

/// `grantflow logout NAME`: the tokens are forgotten here whatever the server says.
pub(crate) fn logout(name: &str, kept: &Kept, trace: Trace) -> Result<Artefact, Failure> {
    let login = kept.login(name)?;
    let (store, key) = (kept.store(), login.key.clone());
    let driver = trace.driver();
    let (outcome, unreached) = run::block_on_uncut(|uncut| async move {
        // Without the server, what can be done here is done.
        let (source, unreached) = match connect::client_of(&driver, &login.profile).await {
            Ok(client) => (Source::Session(client), None),
            Err(failure) => (Source::Delegated, Some(failure)),
        };
        let handle = Tokens::new(driver, Ok(key), source).with_store(store).open()?;
        let outcome = uncut.run(async move { handle.sign_out().await }).await??;
        Ok((outcome, unreached))
    })?;
    let SignedOut { revoked, erased } = outcome;
    erased?;
    kept.forget_profile(name)?;
    let unconfirmed = |why: &dyn std::fmt::Display| {
        say(format_args!(
            "{name} is forgotten here, but the server did not confirm that its tokens are worth nothing now."
        ));
        say(format_args!("They live on until they expire: {why}"));
    };
    match (unreached, revoked) {
        (Some(failure), _) => {
            unconfirmed(&failure);
            Err(failure)
        }
        (None, Some(Err(error))) => {
            unconfirmed(&error);
            Err(error.into())
        }
        (None, Some(Ok(()))) => {
            say(format_args!("{name} is logged out; the server has revoked its tokens."));
            Ok(Artefact::new(String::new()))
        }
        (None, None) => {
            say(format_args!("{name} is forgotten. There was nothing that the server could revoke."));
            Ok(Artefact::new(String::new()))
        }
    }
}
