//! What must hold for any bytes whatsoever that come to a driver: the part of fuzzing that crosses crates.
//!
//! As in [`grantflow_core::testing::fuzz`], each function takes the bytes as a fuzzer makes them and panics if its invariant
//! is broken. `world.rs` is all that a driver can ask, `script.rs` how it is answered, `ways.rs` are the three ways to run a
//! machine in it: by hand, with the tokio driver, with the blocking driver.

mod script;
mod ways;
mod world;

use grantflow_core::machine::EventKind;
use grantflow_core::testing::fuzz::Target;
use grantflow_core::testing::specimens::SPECIMENS;
use grantflow_core::testing::stimuli::{STIMULI, Stimulus};

use ways::{Blocking, ByHand, Tokio, Way};
use world::{Account, Player, World};

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[("driver_script", driver_script)];

/// The bytes of a script that mean something else than a stimulus. All others are places in [`STIMULI`]; one that does not
/// answer the effect at hand stands for one that does.
pub mod operation {
    /// The answer takes its time: a byte chooses how long. Answers that take too long never come.
    pub const DELAY: u8 = 0xF0;
    /// The body of the answer ends after so many bytes: a byte says how many.
    pub const CUT: u8 = 0xF1;
    /// The body of the answer has one byte more than may be read.
    pub const OVERFLOW: u8 = 0xF2;
    /// The caller gives the flow up before the effect at hand.
    pub const GIVE_UP: u8 = 0xF3;
    /// The person walks away.
    pub const WALK_AWAY: u8 = 0xF4;
    /// A store's failure is the claim's, not that of reading.
    pub const UNCLAIMED: u8 = 0xF5;
    /// A claim holds nothing.
    pub const NOTHING_HELD: u8 = 0xF6;
    /// A response: a byte for its status, one for its header fields, one for its length, and the body.
    pub const RESPONSE: u8 = 0xF7;
    /// A callback: a byte for its length, and the query.
    pub const CALLBACK: u8 = 0xF8;
}

/// How many commands a script gives to a machine that takes more than one.
const COMMANDS: usize = 8;

/// Whatever a server answers, whenever, in pieces or not at all, whatever a store, a signer or a person does, and
/// wherever the caller gives up: both drivers ask for the same things and send the same requests as the core by hand, move
/// the machine alike, come to the same end at the same time, and let go of what they claimed. It ends, soon after the last
/// surprise. Requests go to the server and nowhere else. No text shows a secret. Nothing is a bug or misuse.
///
/// The first byte chooses the machine, the second its variant, the third what is remembered, how long the random source
/// lasts and whether there is a store, a signer and the like. Then come commands, the first of which begins the machine,
/// each followed by what answers its effects: [`operation`]s.
///
/// # Panics
/// When one of these does not hold.
pub fn driver_script(input: &[u8]) {
    let [which, variant, setup, script @ ..] = input else { return };
    let play = Play { which: *which, variant: *variant, setup: *setup, script };
    let by_hand = play.run::<ByHand>();
    by_hand.must_equal(&play.run::<Tokio>(), "the tokio driver");
    by_hand.must_equal(&play.run::<Blocking>(), "the blocking driver");
}

/// One script, to be played in several ways.
struct Play<'a> {
    which: u8,
    variant: u8,
    setup: u8,
    script: &'a [u8],
}

impl Play<'_> {
    fn run<W: Way>(&self) -> Account {
        let specimen = &SPECIMENS[usize::from(self.which) % SPECIMENS.len()];
        let variant = usize::from(self.variant) % specimen.variants.len();
        let world = World::new(specimen.table, self.setup, self.script);
        let mut player = Player::new((specimen.variants[variant].1)(), world.clone());
        let mut way = W::new(&world);
        for command in 0..COMMANDS {
            let accepts = |stimulus: &Stimulus| stimulus.kind != EventKind::Cancel && player.accepts(stimulus.kind);
            let Some(first) = world.next_command(command == 0, accepts) else { break };
            let outcome = way.run(&mut player, first);
            world.ended(&player, &outcome);
        }
        world.account()
    }
}

/// The stimulus at this place; if it does not fit, one that does. `None` if there is none.
fn at(place: usize, fits: impl Fn(&Stimulus) -> bool) -> Option<&'static Stimulus> {
    STIMULI.get(place).filter(|stimulus| fits(stimulus)).or_else(|| {
        let fitting: Vec<_> = STIMULI.iter().filter(|stimulus| fits(stimulus)).collect();
        fitting.get(place.checked_rem(fitting.len())?).copied()
    })
}
