//! Every fault of the development server against every flow that it touches.
//!
//! `adversary.tsv` says what comes of each: what is accepted, with which notes, or which error it is and what to do
//! about it, and the requests that were made with the fault on. Since the requests stand there to the last one, a
//! refusal after which anything else is asked fails; [`play`](super::play) sees to it that nothing comes afterwards.

use std::collections::BTreeSet;

use grantflow_core::callback::ResponseMode;
use grantflow_devserver::Fault;

use super::Step;
use super::play::ANY;
use super::{Ask, HONEST, OPENID, Scenario, Setup, Which, Who, same_in_all};
use crate::runners::Decision;

const TABLE: &str = include_str!("adversary.tsv");

/// A login that asks for whatever a fault could deny it.
const DEMANDING: Ask = Ask { max_age: Some(3600), acr: &["mfa"], ..OPENID };

/// What is run with a fault on, and what comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flow {
    Discovery,
    Login,
    /// One that asks neither for `max_age` nor for `acr`.
    PlainLogin,
    FormPostLogin,
    Refresh,
    ClientCredentials,
    Device,
    UserInfo,
    SignedIntrospection,
    Revocation,
}

use Flow::*;

impl Flow {
    const ALL: [(Flow, &'static str); 10] = [
        (Discovery, "discovery"),
        (Login, "login"),
        (PlainLogin, "plain-login"),
        (FormPostLogin, "form-post-login"),
        (Refresh, "refresh"),
        (ClientCredentials, "client-credentials"),
        (Device, "device"),
        (UserInfo, "userinfo"),
        (SignedIntrospection, "signed-introspection"),
        (Revocation, "revocation"),
    ];

    fn of(name: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == name).unwrap_or_else(|| panic!("there is no flow {name}")).0
    }

    fn before(self) -> &'static [Step] {
        match self {
            Discovery => &[],
            Login | PlainLogin | FormPostLogin | ClientCredentials | Device => &[Step::Discover],
            // Another process has no keys yet.
            Refresh | SignedIntrospection => &[Step::Discover, Step::Login(OPENID), Step::AnotherProcess],
            UserInfo | Revocation => &[Step::Discover, Step::Login(OPENID)],
        }
    }

    fn itself(self) -> Step {
        match self {
            Discovery => Step::Discover,
            Login => Step::Login(DEMANDING),
            PlainLogin => Step::Login(OPENID),
            FormPostLogin => Step::Login(Ask { mode: ResponseMode::FormPost, ..OPENID }),
            Refresh => Step::Refresh,
            ClientCredentials => Step::ClientCredentials(Who::Basic, "read"),
            Device => Step::Device(Who::Public, "openid profile"),
            UserInfo => Step::UserInfo,
            SignedIntrospection => Step::IntrospectSigned(Which::Access),
            Revocation => Step::Revoke(Which::Refresh),
        }
    }
}

/// The flows that a fault touches, by what its name says about the place.
fn touched(fault: Fault) -> &'static [Flow] {
    let name = fault.name();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match fault {
        Fault::IdTokenOldAuthTime | Fault::IdTokenMissingAuthTime | Fault::IdTokenWrongAcr => {
            &[Login, PlainLogin, Refresh, Device]
        }
        _ if begins(&["issuer-", "metadata-"]) => &[Discovery],
        _ if begins(&["jwks-", "keys-", "id-token-", "refresh-id-token-"]) => &[Login, Refresh, Device],
        _ if begins(&["callback-"]) => &[Login, FormPostLogin],
        _ if begins(&["token-", "expires-in-", "refresh-token-", "scope-"]) => {
            &[Login, Refresh, ClientCredentials, Device]
        }
        _ if begins(&["userinfo-"]) => &[UserInfo],
        _ if begins(&["device-"]) => &[Device],
        _ if begins(&["introspection-"]) => &[SignedIntrospection],
        _ if begins(&["revocation-"]) => &[Revocation],
        _ => panic!("say which flows the fault {name} touches"),
    }
}

struct Row {
    fault: Fault,
    flow: Flow,
    outcome: &'static str,
    requests: &'static str,
}

fn rows() -> Vec<Row> {
    TABLE
        .lines()
        .skip(1)
        .map(|line| {
            let [fault, flow, outcome, requests] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("not four columns: {line}")
            };
            Row { fault: fault.parse().unwrap(), flow: Flow::of(flow), outcome, requests }
        })
        .collect()
}

/// Runs the row in all three ways.
fn check(row: &Row) {
    let setup = Setup {
        decision: Some(Decision::ApprovedAtWait(1)),
        // Nobody waits half a minute for a test.
        impatient: row.fault == Fault::TokenSlowDrip,
        ..HONEST
    };
    let faults: &'static [Fault] = Box::leak(Box::new([row.fault]));
    let before = row.flow.before().iter().map(|step| (*step, ANY));
    let steps = before.chain([(Step::Faults(faults), ""), (row.flow.itself(), row.outcome)]).collect::<Vec<_>>();
    let scenario = Scenario { name: row.fault.name(), setup, steps: steps.leak(), requests: row.requests };
    same_in_all(&scenario);
}

fn check_all(flow: Flow) {
    let mut rows = rows();
    rows.retain(|row| row.flow == flow);
    assert!(!rows.is_empty());
    rows.iter().for_each(check);
}

#[test]
fn every_fault_has_its_row_for_every_flow_that_it_touches() {
    let rows = rows();
    let standing: BTreeSet<_> = rows.iter().map(|row| (row.fault, row.flow)).collect();
    assert_eq!(standing.len(), rows.len(), "a row stands there twice");
    let wanted = Fault::ALL.iter().flat_map(|fault| touched(*fault).iter().map(|flow| (*fault, *flow))).collect();
    assert_eq!(standing, wanted);
}

#[test]
fn faults_in_discovery() {
    check_all(Discovery);
}

#[test]
fn faults_in_a_login() {
    check_all(Login);
    check_all(PlainLogin);
}

#[test]
fn faults_in_a_login_by_form_post() {
    check_all(FormPostLogin);
}

#[test]
fn faults_in_a_refresh() {
    check_all(Refresh);
}

#[test]
fn faults_in_client_credentials() {
    check_all(ClientCredentials);
}

#[test]
fn faults_on_a_device() {
    check_all(Device);
}

#[test]
fn ir_03_signed_answers_of_the_wrong_kind_are_refused() {
    check_all(SignedIntrospection);
}

#[test]
fn faults_at_other_endpoints() {
    check_all(UserInfo);
    check_all(Revocation);
}
