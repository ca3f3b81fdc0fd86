//! What can happen to a request, and the scripts of it.

use grantflow_core::error::{Delivery, TransportKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Code,
    Refresh,
    ClientCredentials,
    Device,
    Poll,
    Introspection,
    Revocation,
    UserInfo,
    Keys,
}

/// How the client shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Public,
    Knows,
    Signs,
    Proves,
    SignsAndProves,
}

/// What the server says.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    Good,
    No,
    /// With this status.
    NonceDemanded(u16),
    /// No verdict, with the seconds of `Retry-After`.
    Ill(u16, Option<u64>),
}

/// One thing that happens to a request, or around it.
#[derive(Clone, Copy, Debug)]
pub enum Happens {
    /// It is signed and waited for as long as is wanted, and then answered: perhaps with a nonce, and after so long.
    Answered(Says, Option<u8>, u64),
    /// The same, and there is no answer.
    Lost(Delivery, TransportKind, u64),
    WokenLate(u64),
    WokenEarly(u64),
    /// The key cannot be used now.
    KeyAway,
    ClockSetForward(u64),
    ClockSetBack(u64),
    Cancelled,
    /// An event that nothing has asked for.
    Strays(Stray),
}

#[derive(Clone, Copy, Debug)]
pub enum Stray {
    Response,
    Signed,
    Elapsed,
}

/// The jitter, the requests in their order, and what happens.
pub type Script = (u8, Vec<(Flow, Who)>, Vec<Happens>);

const FLOWS: [Flow; 9] = [
    Flow::Code,
    Flow::Refresh,
    Flow::ClientCredentials,
    Flow::Device,
    Flow::Poll,
    Flow::Introspection,
    Flow::Revocation,
    Flow::UserInfo,
    Flow::Keys,
];
const CLIENTS: [Who; 5] = [Who::Public, Who::Knows, Who::Signs, Who::Proves, Who::SignsAndProves];
const LOSSES: [TransportKind; 8] = [
    TransportKind::Dns,
    TransportKind::Connect,
    TransportKind::Timeout,
    TransportKind::Reset,
    TransportKind::Protocol,
    TransportKind::Tls,
    TransportKind::TooLarge,
    TransportKind::ForbiddenAddress,
];

fn says() -> impl Strategy<Value = Says> {
    let wait = prop_oneof![
        3 => Just(None),
        3 => (0..30_u64).prop_map(Some),
        1 => (55..65_u64).prop_map(Some),
        1 => (0..80_000_u64).prop_map(Some),
    ];
    prop_oneof![
        2 => Just(Says::Good),
        1 => Just(Says::No),
        3 => select(&[400, 401][..]).prop_map(Says::NonceDemanded),
        8 => (select(&[429, 503][..]), wait).prop_map(|(status, asked)| Says::Ill(status, asked)),
        1 => (select(&[408, 425, 500, 502][..]), proptest::option::of(0..100_u64))
            .prop_map(|(status, asked)| Says::Ill(status, asked)),
    ]
}

fn happens() -> impl Strategy<Value = Happens> {
    let delivery = prop_oneof![3 => Just(Delivery::NotSent), 1 => Just(Delivery::Unknown)];
    prop_oneof![
        8 => (says(), proptest::option::of(any::<u8>()), 0..20_000_u64)
            .prop_map(|(says, nonce, after)| Happens::Answered(says, nonce, after)),
        8 => (delivery, select(&LOSSES[..]), 0..20_000_u64)
            .prop_map(|(delivery, kind, after)| Happens::Lost(delivery, kind, after)),
        2 => (0..70_000_u64).prop_map(Happens::WokenLate),
        1 => Just(Happens::WokenEarly(1)),
        1 => (1..5_000_u64).prop_map(Happens::WokenEarly),
        1 => Just(Happens::KeyAway),
        1 => (1..100_000_u64).prop_map(Happens::ClockSetForward),
        1 => (1..100_000_u64).prop_map(Happens::ClockSetBack),
        1 => Just(Happens::Cancelled),
        2 => select(&[Stray::Response, Stray::Signed, Stray::Elapsed][..]).prop_map(Happens::Strays),
    ]
}

pub fn scripts() -> BoxedStrategy<Script> {
    let request = (select(&FLOWS[..]), select(&CLIENTS[..])).prop_map(|request| match request {
        (Flow::ClientCredentials, Who::Public) => (Flow::ClientCredentials, Who::Knows),
        request => request,
    });
    (any::<u8>(), vec(request, 1..8), vec(happens(), 1..180)).boxed()
}

/// Kept scripts by what they catch: each fails where the machine is made wrong like that.
pub fn regressions() -> Vec<(&'static str, Script)> {
    let lost = |delivery, kind, after| Happens::Lost(delivery, kind, after);
    let unsent = |after| lost(Delivery::NotSent, TransportKind::Connect, after);
    let ill = |asked| Happens::Answered(Says::Ill(503, asked), None, 0);
    let demand = |nonce| Happens::Answered(Says::NonceDemanded(400), Some(nonce), 0);
    let code = |happens: &[Happens]| (0, vec![(Flow::Code, Who::Public)], happens.to_vec());
    let refresh = |happens: &[Happens]| (0, vec![(Flow::Refresh, Who::Knows)], happens.to_vec());
    let signed = |happens: &[Happens]| (255, vec![(Flow::Code, Who::SignsAndProves)], happens.to_vec());
    vec![
        (
            "a code that is sent again although it may have arrived",
            code(&[lost(Delivery::Unknown, TransportKind::Reset, 0)]),
        ),
        ("a code that is sent again after a 503", code(&[ill(None)])),
        ("a refresh token that is sent again although it may have arrived", {
            refresh(&[lost(Delivery::Unknown, TransportKind::Timeout, 0)])
        }),
        ("four repetitions", refresh(&[ill(None), unsent(0), ill(None), unsent(0)])),
        ("a Retry-After that is not heard", refresh(&[ill(Some(7))])),
        ("pauses of one length", refresh(&[unsent(0), unsent(0)])),
        ("a nonce that is answered again and again", signed(&[demand(1), demand(2)])),
        ("an assertion that is used twice", signed(&[unsent(0), demand(1), unsent(0)])),
        ("a pause that ends after the minute", refresh(&[ill(Some(30)), ill(Some(29)), unsent(501)])),
        ("a repetition after the minute", code(&[unsent(11_980), Happens::WokenLate(47_521)])),
        ("a certificate that is tried again", code(&[lost(Delivery::NotSent, TransportKind::Tls, 0)])),
    ]
}
