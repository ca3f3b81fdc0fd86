//! Our judgement beside that of somebody else's code, over the same inputs: `jsonwebtoken`, `url`, `httpdate`.
//!
//! Where the two differ, the class of the difference must stand in `oracles/differences.tsv` with its explanation, and a
//! class that stands there must occur: what nobody can show any longer is no explanation.

mod dates;
mod tokens;
mod urls;

use std::collections::{BTreeMap, BTreeSet};

/// Two judgements of many inputs.
struct Comparison {
    oracle: &'static str,
    inputs: usize,
    accepted: usize,
    /// How often a class of difference occurred, and in which input first.
    differences: BTreeMap<Class, (usize, String)>,
}

/// Who accepts what the other refuses, and why the other does; or how two readings of it differ.
type Class = (&'static str, String);

/// What one side says of an input: what it reads in it, or why it refuses.
type Judgement<T> = Result<T, String>;

impl Comparison {
    fn with(oracle: &'static str) -> Self {
        Self { oracle, inputs: 0, accepted: 0, differences: BTreeMap::new() }
    }

    /// Compares two judgements of one input. `reading` names the class when both accept it and read different things.
    fn compare<T: PartialEq>(
        &mut self,
        input: &str,
        ours: Judgement<T>,
        theirs: Judgement<T>,
        reading: impl FnOnce(&T, &T) -> String,
    ) {
        self.inputs += 1;
        let class = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                self.accepted += 1;
                if ours == theirs {
                    return;
                }
                ("both", reading(&ours, &theirs))
            }
            (Ok(_), Err(why)) => ("we", why),
            (Err(why), Ok(_)) => ("they", why),
            (Err(_), Err(_)) => return,
        };
        self.differences.entry(class).or_insert_with(|| (0, input.to_owned())).0 += 1;
    }

    /// Holds the differences to the table.
    fn judge(self) {
        let rows = include_str!("oracles/differences.tsv").lines().skip(1);
        let mut explained = BTreeSet::new();
        for row in rows {
            let [oracle, who, class, why] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("not four columns: {row}")
            };
            assert!(why.len() > 10, "{class} is not explained");
            if oracle == self.oracle {
                assert!(explained.insert((who, class)), "{oracle}: {who} {class} stands there twice");
            }
        }
        let mut faults = Vec::new();
        for ((who, class), (count, example)) in &self.differences {
            if !explained.remove(&(*who, class.as_str())) {
                faults.push(format!("unexplained: {who}\t{class} ({count} times, first in {example:?})"));
            }
        }
        faults.extend(explained.iter().map(|(who, class)| format!("explained, but does not occur: {who}\t{class}")));
        assert!(faults.is_empty(), "{}:\n{}", self.oracle, faults.join("\n"));
        assert!(self.accepted > 0 && self.accepted < self.inputs, "inputs of one kind only show nothing");
        let differences: usize = self.differences.values().map(|(count, _)| count).sum();
        println!(
            "figure: oracles/{} = {} inputs, {} accepted by both, {differences} differences in {} classes, 0 unexplained",
            self.oracle,
            self.inputs,
            self.accepted,
            self.differences.len()
        );
    }
}
