//! Puts all changes of a file into it, each behind a question.
//!
//! `a == b` becomes `(if crate::__mutant(7) { a != b } else { a == b })`, the body of a function gets
//! `if crate::__mutant(8) { return None; }` in front, and an arm that would be deleted a guard. What is changed is
//! written as it was, so that only the unchanged branch holds further questions.

use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::Result;
use crate::list::{Mutant, State};

/// What answers the questions, at the end of each crate. With `MUTANTS_REACHED` it writes which were asked.
pub const ANSWER: &str = r#"
#[doc(hidden)]
#[deprecated]
pub(crate) fn __mutant(id: usize) -> bool {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io::Write;
    use std::sync::{LazyLock, Mutex};
    type Reached = Option<(File, Mutex<BTreeSet<usize>>)>;
    static CHOSEN: LazyLock<usize> =
        LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|id| id.parse().ok()).unwrap_or(0));
    static REACHED: LazyLock<Reached> = LazyLock::new(|| {
        let path = std::env::var_os("MUTANTS_REACHED")?;
        Some((File::options().append(true).create(true).open(path).ok()?, Mutex::default()))
    });
    if let Some((file, seen)) = &*REACHED {
        let mut seen = seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if seen.insert(id) {
            let _ = (&*file).write_all(format!("{id}\n").as_bytes());
        }
    }
    *CHOSEN == id
}
"#;

/// The file with all of its mutants that are `Woven`. Those that have no place in it become `NotWoven`.
pub fn file(source: &str, mutants: &mut [&mut Mutant]) -> Result<String> {
    let starts: Vec<usize> = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let offset = |(line, column): (usize, usize)| -> usize {
        let start = starts[line - 1];
        source[start..].char_indices().nth(column - 1).map_or(source.len(), |(at, _)| start + at)
    };
    let mut weaver = Weaver { source, open: Vec::new(), edits: Vec::new(), woven: Vec::new() };
    for mutant in mutants.iter().filter(|mutant| mutant.state == State::Woven) {
        weaver.open.push(Change {
            id: mutant.id,
            genre: mutant.genre.clone(),
            replacement: mutant.replacement.clone(),
            span: offset(mutant.start)..offset(mutant.end),
        });
    }
    let tree = syn::parse_file(source)?;
    weaver.visit_file(&tree);
    for mutant in mutants.iter_mut().filter(|mutant| mutant.state == State::Woven) {
        if !weaver.woven.contains(&mutant.id) {
            mutant.state = State::NotWoven;
        }
    }
    let mut edits = weaver.edits;
    // What ends at a place comes before what starts there; the sort keeps the order of the visit.
    edits.sort_by_key(|edit| (edit.0, edit.1));
    let mut text = String::with_capacity(source.len() * 3);
    let mut at = 0;
    for (position, _, insertion) in edits {
        text.push_str(&source[at..position]);
        text.push_str(&insertion);
        at = position;
    }
    text.push_str(&source[at..]);
    Ok(text)
}

struct Change {
    id: usize,
    genre: String,
    replacement: String,
    span: Range<usize>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Side {
    End,
    Start,
}

struct Weaver<'s> {
    source: &'s str,
    open: Vec<Change>,
    edits: Vec<(usize, Side, String)>,
    woven: Vec<usize>,
}

impl Weaver<'_> {
    /// Takes the changes of a genre that are made at this place.
    fn take(&mut self, genre: &str, start: usize) -> Vec<Change> {
        let (taken, left) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|change: &Change| change.genre == genre && change.span.start == start);
        self.open = left;
        let taken: Vec<Change> = taken;
        self.woven.extend(taken.iter().map(|change| change.id));
        taken
    }

    /// The question in front of an expression, with the changed expression as the answer to yes.
    fn ask(&mut self, range: &Range<usize>, changes: &[Change]) {
        let mut text = String::from("(/*w*/");
        for Change { id, replacement, span, .. } in changes {
            let (before, after) = (&self.source[range.start..span.start], &self.source[span.end..range.end]);
            text.push_str(&format!(
                "if crate::__mutant({id}) {{ /*m{id}*/ {before}{replacement}{after}\n/*/m{id}*/ }} else "
            ));
        }
        text.push_str("{ ");
        self.edits.push((range.start, Side::Start, text));
    }

    fn asked(&mut self, range: &Range<usize>) {
        self.edits.push((range.end, Side::End, " }/*/w*/)".to_owned()));
    }

    fn body(&mut self, block: &syn::Block) {
        let Some(first) = block.stmts.first() else { return };
        let start = first.span().byte_range().start;
        let mut text = String::new();
        for Change { id, replacement, .. } in self.take("FnValue", start) {
            text.push_str(&format!("if crate::__mutant({id}) {{ /*m{id}*/ return {replacement};\n/*/m{id}*/ }}\n"));
        }
        if !text.is_empty() {
            self.edits.push((start, Side::Start, text));
        }
    }
}

impl<'ast> Visit<'ast> for Weaver<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.body(&node.block);
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.body(&node.block);
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.body(block);
        }
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_expr(&mut self, node: &'ast syn::Expr) {
        let changes = match node {
            // `let` cannot be asked about.
            syn::Expr::Binary(binary) if binds(node) => {
                let _ = binary;
                Vec::new()
            }
            syn::Expr::Binary(binary) => self.take("BinaryOperator", binary.op.span().byte_range().start),
            syn::Expr::Unary(unary) => self.take("UnaryOperator", unary.op.span().byte_range().start),
            syn::Expr::Struct(one) => {
                one.fields.iter().flat_map(|field| self.take("StructField", field.span().byte_range().start)).collect()
            }
            _ => Vec::new(),
        };
        let range = node.span().byte_range();
        if changes.is_empty() {
            visit::visit_expr(self, node);
        } else {
            self.ask(&range, &changes);
            visit::visit_expr(self, node);
            self.asked(&range);
        }
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let deleted = self.take("MatchArm", node.span().byte_range().start);
        let question = deleted.first().map(|change| format!("/*a{}*/!crate::__mutant({})", change.id, change.id));
        match (&node.guard, question) {
            (Some((_, guard)), question) => {
                let range = guard.span().byte_range();
                let changes = self.take("MatchArmGuard", range.start);
                if let Some(question) = &question {
                    self.edits.push((range.start, Side::Start, format!("{question} && (")));
                }
                if !changes.is_empty() {
                    self.ask(&range, &changes);
                }
                visit::visit_arm(self, node);
                // The guard's ends are put before those of what it holds would be: the visit is over already.
                if !changes.is_empty() {
                    self.asked(&range);
                }
                if question.is_some() {
                    self.edits.push((range.end, Side::End, ")".to_owned()));
                }
            }
            (None, Some(question)) => {
                let end = node.pat.span().byte_range().end;
                self.edits.push((end, Side::Start, format!(" if {question}")));
                visit::visit_arm(self, node);
            }
            (None, None) => visit::visit_arm(self, node),
        }
    }
}

/// Whether `let` is part of this chain of conditions.
fn binds(node: &syn::Expr) -> bool {
    match node {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}
