//! What came out, and the figures of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::list::{Mutant, State};

/// Outcome and note of each mutant by file and change.
#[derive(Debug)]
pub struct Record {
    results: PathBuf,
    outcomes: BTreeMap<(String, String), (String, String)>,
    journal: std::fs::File,
    /// How many outcomes are of this run.
    new: usize,
}

impl Record {
    /// What earlier runs in this target folder have written.
    pub fn read(results: &Path) -> Result<Self> {
        let path = results.join("mutants.tsv");
        let mut outcomes = BTreeMap::new();
        for line in std::fs::read_to_string(&path).unwrap_or_default().lines() {
            if let [outcome, file, change, note] = line.split('\t').collect::<Vec<_>>()[..] {
                outcomes.insert((file.to_owned(), change.to_owned()), (outcome.to_owned(), note.to_owned()));
            }
        }
        let journal = std::fs::File::options().append(true).create(true).open(path)?;
        Ok(Self { results: results.to_owned(), outcomes, journal, new: 0 })
    }

    /// What came out the last time.
    pub fn outcome(&self, mutant: &Mutant) -> Option<&str> {
        self.outcomes.get(&(mutant.file.clone(), mutant.change.clone())).map(|(outcome, _)| outcome.as_str())
    }

    /// Takes over what the last run found out about what can be built.
    pub fn recall(&self, mutants: &mut [Mutant]) {
        for mutant in mutants {
            mutant.state = match self.outcome(mutant) {
                Some("unviable") => State::Unviable,
                Some("not woven") => State::NotWoven,
                _ => mutant.state,
            };
        }
    }

    /// Writes an outcome at once: a run may be ended at any time.
    pub fn add(&mut self, mutant: &Mutant, outcome: &str, note: String) -> Result<()> {
        writeln!(self.journal, "{outcome}\t{}\t{}\t{note}", mutant.file, mutant.change)?;
        self.new += 1;
        self.outcomes.insert((mutant.file.clone(), mutant.change.clone()), (outcome.to_owned(), note));
        Ok(())
    }

    /// Writes table and figures of the mutants there are. Gives whether each survivor has a reason, and each reason a
    /// survivor.
    pub fn write(self, mutants: &[Mutant]) -> Result<bool> {
        let table = std::fs::read_to_string("mutants/survivors.tsv")?;
        let mut reasons: BTreeMap<(String, String), bool> = BTreeMap::new();
        for line in table.lines().skip(1) {
            if let [file, change, _] = line.split('\t').collect::<Vec<_>>()[..] {
                reasons.insert((file.to_owned(), change.to_owned()), false);
            }
        }
        let mut good = true;
        let mut text = String::new();
        // Listed, tried and viable, caught, explained, unviable, not built.
        let mut counts: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
        for mutant in mutants.iter().filter(|mutant| !mutant.is_of_debug()) {
            let key = (mutant.file.clone(), mutant.change.clone());
            let count = counts.entry(mutant.folder()).or_default();
            count[0] += 1;
            let Some((outcome, note)) = self.outcomes.get(&key) else { continue };
            text.push_str(&format!("{outcome}\t{}\t{}\t{note}\n", mutant.file, mutant.change));
            match outcome.as_str() {
                "unviable" => count[4] += 1,
                "not built" => count[5] += 1,
                "not woven" => {}
                _ => count[1] += 1,
            }
            match (outcome.as_str(), reasons.get_mut(&key)) {
                ("missed", None) => {
                    eprintln!(
                        "survives without a reason: {}:{}: {} ({note})",
                        mutant.file, mutant.start.0, mutant.change
                    );
                    good = false;
                }
                ("missed", Some(used)) => {
                    *used = true;
                    count[3] += 1;
                }
                ("caught", reason) => {
                    count[2] += 1;
                    if reason.is_some() {
                        eprintln!("is caught now, so it needs no reason: {}: {}", mutant.file, mutant.change);
                        good = false;
                    }
                }
                _ => {}
            }
        }
        std::fs::write(self.results.join("mutants.tsv"), &text)?;
        let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output()?;
        let date = Command::new("date").args(["-u", "+%F"]).output()?;
        let said = |output: std::process::Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut figures = format!("# {}\t{}\tmutants/run\n", said(date), said(commit));
        for (folder, [listed, viable, caught, explained, unviable, not_built]) in counts {
            let share = 1000 * caught / viable.max(1);
            figures.push_str(&format!(
                "figure: mutants/{folder} = {caught} of {viable} viable ones caught ({}.{} %), {explained} survivors \
                 explained, {} not; {unviable} of {listed} do not compile, {not_built} are not built \
                 here, {} were not tried\n",
                share / 10,
                share % 10,
                viable - caught - explained,
                listed - viable - unviable - not_built,
            ));
        }
        let known = text.lines().count();
        figures.push_str(&format!(
            "figure: mutants/outcomes = {} of this run, {} of earlier ones in the same target folder\n",
            self.new,
            known.saturating_sub(self.new)
        ));
        print!("{figures}");
        std::fs::write(self.results.join("mutants.figures"), figures)?;
        Ok(good)
    }
}
