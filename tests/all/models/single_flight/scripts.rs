//! What callers, the server and the clock can do, and the scripts of it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub const CALLERS: usize = 6;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Happens {
    /// A caller wants a credential.
    Asks(usize),
    /// A caller has had a 401 for a token: the newest there is, or the one so many before it.
    Refused(usize, u32),
    /// A caller goes away.
    Leaves(usize),
    Commanded(Command),
    /// One of those who work makes a step.
    GoesOn(usize, Fate),
    /// One of those who work is gone without a word.
    Dies(usize),
    /// Seconds go by.
    Passes(u64),
    ClockSetBack(u64),
}

/// What somebody wants of the tokens besides using them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Renew,
    Reload,
    SignOut,
    Adopt,
}

/// How the next step of whoever works goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// New tokens come, for so many seconds.
    Well(u64),
    NotSent,
    Reset,
    TimedOut,
    /// The server is ill, and asks for so many seconds.
    Ill(Option<u64>),
    /// What comes is no answer.
    Garbled,
    Refused(&'static str),
}

/// Whether the client asks for itself, the jitter, and what happens.
pub type Script = (bool, u8, Vec<Happens>);

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => select(&[600, 600, 60, 5, 1][..]).prop_map(Fate::Well),
        1 => Just(Fate::NotSent),
        1 => Just(Fate::Reset),
        1 => Just(Fate::TimedOut),
        2 => proptest::option::of(0..5_000_u64).prop_map(Fate::Ill),
        1 => Just(Fate::Garbled),
        1 => select(&["invalid_grant", "invalid_client", "invalid_scope"][..]).prop_map(Fate::Refused),
    ]
}

fn happens() -> impl Strategy<Value = Happens> {
    let commands = [Command::Renew, Command::Reload, Command::SignOut, Command::Adopt, Command::Adopt];
    let seconds = prop_oneof![4 => 0..5_u64, 2 => 0..100_u64, 1 => 0..700_u64];
    prop_oneof![
        12 => (0..CALLERS).prop_map(Happens::Asks),
        5 => (0..CALLERS, select(&[0, 0, 1, 2][..])).prop_map(|(caller, older)| Happens::Refused(caller, older)),
        1 => (0..CALLERS).prop_map(Happens::Leaves),
        2 => select(commands.to_vec()).prop_map(Happens::Commanded),
        14 => (0..4_usize, fate()).prop_map(|(which, fate)| Happens::GoesOn(which, fate)),
        1 => (0..4_usize).prop_map(Happens::Dies),
        6 => seconds.prop_map(Happens::Passes),
        1 => (0..300_u64).prop_map(Happens::ClockSetBack),
    ]
}

pub fn scripts() -> BoxedStrategy<Script> {
    (prop_oneof![3 => Just(false), 1 => Just(true)], any::<u8>(), vec(happens(), 1..400)).boxed()
}

/// Kept scripts by what they catch: the first three were wrong once, the others fail where code is made wrong like that.
pub fn regressions() -> Vec<(&'static str, Script)> {
    use Happens::{Asks, ClockSetBack, Commanded, Dies, GoesOn, Passes, Refused};
    let well = GoesOn(0, Fate::Well(600));
    let slow = GoesOn(0, Fate::TimedOut);
    let session = |happens: &[Happens]| (false, 0, happens.to_vec());
    let ended = GoesOn(0, Fate::Refused("invalid_grant"));
    vec![
        (
            "a late 401 for an older token, answered with one that is due",
            session(&[ClockSetBack(61), Refused(0, 1), Asks(0)]),
        ),
        (
            "a late 401 for an older token brings the refused one back",
            session(&[Refused(0, 0), well, well, slow, Passes(1), Refused(0, 1), well, well, slow]),
        ),
        (
            "a late 401 for an older token ends the last one of a session",
            (false, 255, vec![Passes(540), Asks(0), well, well, ended, well, ClockSetBack(30), Refused(0, 1), well]),
        ),
        (
            "a late 401 for an older token renews the new one",
            session(&[Passes(540), Commanded(Command::Renew), Refused(0, 1), well, well, well, well, Passes(2), well]),
        ),
        (
            "a leader who dies and leads on",
            session(&[
                Passes(600),
                Asks(0),
                Asks(1),
                well,
                Asks(2),
                Dies(0),
                Asks(3),
                Asks(4),
                well,
                well,
                Asks(5),
                well,
            ]),
        ),
        (
            "an attempt before its time",
            session(&[Passes(600), Asks(0), Asks(1), well, well, GoesOn(0, Fate::Ill(Some(7))), Passes(6), Asks(2)]),
        ),
        (
            "a command that does not rest",
            session(&[Passes(540), Asks(0), well, well, slow, Commanded(Command::Renew), well]),
        ),
        (
            "a rest that a clock set back makes longer",
            session(&[Passes(540), Asks(0), well, well, slow, ClockSetBack(1), Commanded(Command::Renew), well]),
        ),
        (
            "rests of one length",
            session(&[Refused(0, 0), well, well, slow, Passes(1), Asks(0), well, well, slow, Passes(1), Asks(0)]),
        ),
        (
            "a lost answer that is asked for again and again",
            session(&[Passes(600), Asks(0), well, well, GoesOn(0, Fate::Reset), GoesOn(0, Fate::Reset)]),
        ),
        (
            "a resource server that makes a storm",
            session(&[Refused(0, 0), well, well, well, well, Refused(0, 0), well]),
        ),
        (
            "a command that lets a second one lead",
            session(&[Commanded(Command::SignOut), well, Refused(1, 0), well, Asks(0)]),
        ),
    ]
}
