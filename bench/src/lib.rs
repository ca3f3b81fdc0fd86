//! The work that is compared, once per contender.
//!
//! A [`Row`] is a kind of work, a [`Case`] is that work done by one contender. Everybody gets the same inputs. The limit
//! of a row is the least that the job needs with the same building blocks and none of a library's checks: the hash, the
//! signature, the JSON parser. The timing bench, the allocation counter and the instruction counter all run these cases.

mod grantflow;
mod inputs;
mod limit;
mod peers;

pub mod loopback;

use std::hint::black_box;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// A short name for files and arguments.
    pub id: &'static str,
    /// What the table says.
    pub title: &'static str,
    /// What grantflow should reach. A time as a ratio, because absolute times move with the machine.
    pub aim: &'static str,
}

/// All rows of the table, in its order. The first seven are measured call by call, the last two by programs of their own.
pub const ROWS: [Row; 9] = [
    Row { id: "url", title: "authorization URL with state and PKCE", aim: "2.0 × limit, 4 allocations" },
    Row {
        id: "answer",
        title: "parse the 1.2 KB token answer",
        aim: "1.5 × limit, 8 allocations, unknown members kept",
    },
    Row { id: "unknown", title: "parse a 64 KiB answer of unknown members", aim: "1.4 × limit, kept raw" },
    Row {
        id: "exchange",
        title: "build a token request and process its answer, no I/O",
        aim: "0.66 × io-oauth, 25 allocations",
    },
    Row { id: "rs256", title: "verify an id_token RS256, keys cached", aim: "1.08 × limit, 10 allocations" },
    Row { id: "es256", title: "verify an id_token ES256, keys cached", aim: "1.08 × limit, 10 allocations" },
    Row { id: "eddsa", title: "verify an id_token EdDSA, keys cached", aim: "1.08 × limit, 10 allocations" },
    Row {
        id: "loopback",
        title: "whole client-credentials exchange over loopback, 64 at once, CPU time",
        aim: "1.2 × limit",
    },
    Row {
        id: "pending",
        title: "a pending authorization-code flow: live bytes and snapshot bytes",
        aim: "1 KiB live, 1 KiB snapshot",
    },
];

/// One row's work, done by one contender.
pub struct Case {
    /// The row's id.
    pub row: &'static str,
    /// Who does it: `limit`, a library's name, or a name and how it was set.
    pub who: &'static str,
    work: Box<dyn FnMut()>,
}

impl Case {
    fn new<T>(row: &'static str, who: &'static str, mut work: impl FnMut() -> T + 'static) -> Self {
        let work = Box::new(move || {
            black_box(work());
        });
        Self { row, who, work }
    }

    /// Does the work once. A function of its own in every build: the instruction counter counts between its start and end.
    #[inline(never)]
    pub fn run(&mut self) {
        (self.work)();
    }

    /// Does the work once, uncounted: the first run may fill a cache or a thread-local.
    pub fn warm_up(&mut self) {
        (self.work)();
    }

    /// The name of the case in arguments and files: `row/who`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.row, self.who)
    }
}

/// Every case, in the order of the rows; within a row the limit comes first.
#[must_use]
pub fn cases() -> Vec<Case> {
    let inputs = inputs::Inputs::new();
    let mut cases = limit::cases(&inputs);
    cases.extend(peers::cases(&inputs));
    cases.extend(grantflow::cases(&inputs));
    cases.sort_by_key(|case| ROWS.iter().position(|row| row.id == case.row));
    cases
}

/// Everybody's pending authorization-code flow: what lies between the redirect and the callback.
#[must_use]
pub fn pending() -> Vec<Pending> {
    let mut all = limit::pending();
    all.extend(peers::pending());
    all.extend(grantflow::pending());
    all
}

/// Makes one flow and weighs it with a function that says how many bytes of heap are in use.
type Weigh = dyn Fn(&dyn Fn() -> usize) -> Weight;

/// One contender's pending flow, to be weighed by a process that counts its heap.
pub struct Pending {
    /// Whose it is.
    pub who: &'static str,
    weigh: Box<Weigh>,
}

/// What a pending flow weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Bytes of the value and of the heap behind it.
    pub live: usize,
    /// Bytes of its stored form, where there is one.
    pub stored: Option<usize>,
}

impl Pending {
    fn new<T>(
        who: &'static str,
        make: impl Fn() -> T + 'static,
        stored: impl Fn(&T) -> Option<usize> + 'static,
    ) -> Self {
        let weigh = Box::new(move |heap: &dyn Fn() -> usize| {
            let before = heap();
            let flow = black_box(make());
            let live = heap() - before + size_of::<T>();
            Weight { live, stored: stored(&flow) }
        });
        Self { who, weigh }
    }

    /// Makes one and weighs it; `heap` says how many bytes are allocated now.
    #[must_use]
    pub fn weigh(&self, heap: &dyn Fn() -> usize) -> Weight {
        (self.weigh)(heap)
    }
}
