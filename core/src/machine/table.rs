//! Transition tables as plain data: the one source that code, tests and pictures share.

use core::fmt;
use core::fmt::Write;

use super::{EffectKind, EventKind};

/// The name of a state: a label for logs, tests and pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub &'static str);

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a machine found in an event, in words. Different outcomes are different findings; a guard is never in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding(pub &'static str);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Where every machine begins.
pub const READY: StateId = StateId("Ready");
/// Where a machine ends that has given its output.
pub const COMPLETE: StateId = StateId("Complete");
/// Where a machine ends that has not; all of its data is gone.
pub const FAILED: StateId = StateId("Failed");
/// The finding of every `Cancel`.
pub const STOPPED: Finding = Finding("Stopped");

/// What kind of state a row describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// Nothing has happened yet.
    Initial,
    /// Waits for the answer to its effect.
    Live,
    /// Live, and may be stored and resumed in another process.
    Resting,
    /// Live, with nothing outstanding: waits for the caller's next command.
    Idle,
    /// Terminal: no event is legal any more.
    Terminal,
}

/// One state of a machine.
#[derive(Debug)]
pub struct StateRow {
    /// Its name.
    pub id: StateId,
    /// Initial, live, resting or terminal.
    pub kind: StateKind,
    /// The effect this state emits on its own account; `None` when a child machine does or nothing is emitted.
    pub emits: Option<EffectKind>,
    /// The machine that runs inside this state, if one does.
    pub child: Option<&'static Table>,
}

impl StateRow {
    /// The state in which nothing has happened.
    pub const fn initial() -> Self {
        Self { id: READY, kind: StateKind::Initial, emits: None, child: None }
    }

    /// A state that waits for the answer to `emits`.
    pub const fn live(id: StateId, emits: EffectKind) -> Self {
        Self { id, kind: StateKind::Live, emits: Some(emits), child: None }
    }

    /// A state that waits for the answer to `emits` and may be stored meanwhile.
    pub const fn resting(id: StateId, emits: EffectKind) -> Self {
        Self { id, kind: StateKind::Resting, emits: Some(emits), child: None }
    }

    /// A state that waits for the caller's next command.
    pub const fn idle(id: StateId) -> Self {
        Self { id, kind: StateKind::Idle, emits: None, child: None }
    }

    /// A state in which `child` runs.
    pub const fn nested(id: StateId, child: &'static Table) -> Self {
        Self { id, kind: StateKind::Live, emits: None, child: Some(child) }
    }

    /// The state of success.
    pub const fn complete() -> Self {
        Self { id: COMPLETE, kind: StateKind::Terminal, emits: None, child: None }
    }

    /// The state of failure.
    pub const fn failed() -> Self {
        Self { id: FAILED, kind: StateKind::Terminal, emits: None, child: None }
    }
}

/// Which event an arrow is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// This event.
    Event(EventKind),
    /// Whatever event the child machine was given last; drawn as `*`.
    Any,
}

/// One arrow: from, event, finding, to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The state it leaves.
    pub from: StateId,
    /// The event it is drawn for.
    pub on: On,
    /// What was found in the event.
    pub finding: Finding,
    /// The state it enters.
    pub to: StateId,
}

impl Arrow {
    /// An arrow for one event.
    pub const fn new(from: StateId, on: EventKind, finding: Finding, to: StateId) -> Self {
        Self { from, on: On::Event(on), finding, to }
    }

    /// An arrow for whatever event the child machine was given last.
    pub const fn any(from: StateId, finding: Finding, to: StateId) -> Self {
        Self { from, on: On::Any, finding, to }
    }
}

/// All states and arrows of one machine.
///
/// `Cancel/Stopped -> Failed` leaves every state that is not terminal; [`Table::arrows`] adds it, so that no table can forget it.
#[derive(Debug)]
pub struct Table {
    /// The machine's name, in the words of its RFC: `authorization-code`.
    pub machine: &'static str,
    /// Its states, first to last as a reader meets them.
    pub states: &'static [StateRow],
    /// Its arrows, without those of `Cancel`.
    pub rows: &'static [Arrow],
}

impl Table {
    /// Every arrow, the implied ones of `Cancel` included.
    pub fn arrows(&self) -> impl Iterator<Item = Arrow> + '_ {
        let stops = self.states.iter().filter(|row| row.kind != StateKind::Terminal);
        let stops = stops.map(|row| Arrow::new(row.id, EventKind::Cancel, STOPPED, FAILED));
        self.rows.iter().copied().chain(stops)
    }

    /// The row of a state.
    pub fn state(&self, id: StateId) -> Option<&StateRow> {
        self.states.iter().find(|row| row.id == id)
    }

    /// Whether `event` may be given to a machine that is in `state` itself, its children left aside.
    pub fn accepts(&self, state: StateId, event: EventKind) -> bool {
        if event == EventKind::Cancel {
            return self.state(state).is_some_and(|row| row.kind != StateKind::Terminal);
        }
        self.rows.iter().any(|row| row.from == state && row.on == On::Event(event))
    }

    /// Whether this arrow stands in the table.
    pub fn allows(&self, from: StateId, event: EventKind, finding: Finding, to: StateId) -> bool {
        let fits = |on: On| on == On::Any || on == On::Event(event);
        self.rows.iter().any(|row| row.from == from && row.finding == finding && row.to == to && fits(row.on))
    }

    /// Draws the table as a Mermaid state diagram.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("stateDiagram-v2\n");
        for row in self.states {
            if let Some(label) = row.label() {
                let _ = writeln!(out, "    {0}: {0}<br/>{label}", row.id);
            }
        }
        let _ = writeln!(out, "    [*] --> {READY}");
        for (from, to, labels) in self.edges() {
            let _ = writeln!(out, "    {from} --> {to}: {}", labels.join("<br/>"));
        }
        for row in self.states.iter().filter(|row| row.kind == StateKind::Terminal) {
            let _ = writeln!(out, "    {} --> [*]", row.id);
        }
        out
    }

    /// Draws the table in Graphviz' language.
    pub fn dot(&self) -> String {
        let mut out =
            format!("digraph \"{}\" {{\n    rankdir=LR;\n    node [shape=box, style=rounded];\n", self.machine);
        for row in self.states {
            let label = row.label().map(|label| format!("\\n{label}")).unwrap_or_default();
            let shape = match row.kind {
                StateKind::Terminal => ", peripheries=2",
                StateKind::Resting => ", style=\"rounded,bold\"",
                StateKind::Initial | StateKind::Live | StateKind::Idle => "",
            };
            let _ = writeln!(out, "    {0} [label=\"{0}{label}\"{shape}];", row.id);
        }
        for (from, to, labels) in self.edges() {
            let _ = writeln!(out, "    {from} -> {to} [label=\"{}\"];", labels.join("\\n"));
        }
        out.push_str("}\n");
        out
    }

    /// The arrows as a picture shows them: one edge for each pair of states, with all of its labels.
    ///
    /// The arrows of `Cancel` are left out; every live state has one.
    pub fn edges(&self) -> Vec<(StateId, StateId, Vec<String>)> {
        let mut edges: Vec<(StateId, StateId, Vec<String>)> = Vec::new();
        for row in self.rows {
            let label = match row.on {
                On::Event(event) => format!("{event} / {}", row.finding),
                On::Any => format!("* / {}", row.finding),
            };
            match edges.iter_mut().find(|(from, to, _)| *from == row.from && *to == row.to) {
                Some((_, _, labels)) => labels.push(label),
                None => edges.push((row.from, row.to, vec![label])),
            }
        }
        edges
    }
}

impl StateRow {
    /// What a picture says below the state's name.
    pub fn label(&self) -> Option<String> {
        match (self.emits, self.child) {
            (Some(effect), _) => Some(format!("{effect}{}", if self.kind == StateKind::Resting { " *" } else { "" })),
            (None, Some(child)) => Some(format!("[{}]", child.machine)),
            (None, None) => None,
        }
    }
}
