//! The table of flows with their outcomes.

use std::fmt::Write as _;

use grantflow_core::{Error, TABLES};

use crate::exit::{self, Code};
use crate::trace::say;

/// What a flow gives, and what the table says of it.
pub(crate) type Outcome<T> = Result<(T, String), Error>;

/// One row a flow.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    flow: &'static str,
    verdict: Verdict,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad(Code),
    Skipped,
}

impl Rows {
    /// Writes an outcome down and hands on what the flow gave.
    pub(crate) fn keep<T>(&mut self, flow: &'static str, outcome: Outcome<T>) -> Option<T> {
        let (kept, verdict, text) = match outcome {
            Ok((kept, text)) => (Some(kept), Verdict::Good, text),
            Err(error) => (None, Verdict::Bad(exit::code(&error)), error.to_string()),
        };
        if kept.is_none() {
            say(format_args!("  {text}"));
        }
        self.rows.push(Row { flow, verdict, text });
        kept
    }

    /// Writes down only what went wrong.
    pub(crate) fn settled<T>(&mut self, what: &'static str, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(settled) => Some(settled),
            Err(error) => self.keep(what, Err(error)),
        }
    }

    /// Writes down that the flows without a row have not run, whoever they are: the exchange is part of all others.
    pub(crate) fn skip_the_rest(&mut self) {
        for table in TABLES {
            let flow = table.machine;
            if flow != "exchange" && self.rows.iter().all(|row| row.flow != flow) {
                let text = "not run: it needs what did not succeed".to_owned();
                self.rows.push(Row { flow, verdict: Verdict::Skipped, text });
            }
        }
    }

    /// The table as text.
    pub(crate) fn drawn(&self) -> String {
        let width = self.rows.iter().map(|row| row.flow.len()).max().unwrap_or_default();
        let mut out = format!("{:<width$}  outcome  what came of it\n", "flow");
        for row in &self.rows {
            let verdict = match row.verdict {
                Verdict::Good => "ok",
                Verdict::Bad(_) => "failed",
                Verdict::Skipped => "-",
            };
            let _ = writeln!(out, "{:<width$}  {verdict:<7}  {}", row.flow, row.text);
        }
        out
    }

    /// The class of the first failure, and how many flows did not succeed.
    pub(crate) fn first_failure(&self) -> Option<(Code, usize)> {
        let count = self.rows.iter().filter(|row| row.verdict != Verdict::Good).count();
        let first = self.rows.iter().find_map(|row| match row.verdict {
            Verdict::Bad(code) => Some(code),
            Verdict::Good | Verdict::Skipped => None,
        });
        (count > 0).then(|| (first.unwrap_or(Code::Bug), count))
    }
}
