//! What the documents say is true: pictures are drawn from the tables, and what README.md, SECURITY.md and
//! docs/verification.md say of features, promises, limits and tests is compared with the sources.
//!
//! `UPDATE_DOCS=1 cargo test -p grantflow-tests documents` writes the generated parts anew.

mod limits;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use grantflow_core::testing::specimens::SPECIMENS;

use crate::catalogue::{sources, tests_of};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Compares a generated file with the one in the tree, or writes it if asked to.
pub fn is_current(path: &str, generated: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() && read(path) != generated {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, generated).unwrap();
    }
    assert_eq!(
        read(path),
        generated,
        "{path} is not current: run UPDATE_DOCS=1 cargo test -p grantflow-tests documents"
    );
}

/// The same for the part of a file between `<!-- begin name -->` and `<!-- end name -->`.
fn part_is_current(path: &str, name: &str, generated: &str) {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let found = read(path);
    let (before, rest) = found.split_once(&begin).unwrap_or_else(|| panic!("{path} has no part {name}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{path}: part {name} has no end"));
    is_current(path, &format!("{before}{begin}{generated}{end}{after}"));
}

/// The names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    sources().iter().flat_map(|(_, source)| tests_of(source)).collect()
}

/// What stands between backticks and looks like the name of a test: words of small letters, four at least.
fn tests_named_in(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| {
        code.matches('_').count() >= 3
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

#[test]
fn the_picture_of_every_machine_is_current() {
    for specimen in SPECIMENS {
        let table = specimen.table;
        let picture = format!("```mermaid\n{}```\n", table.mermaid());
        is_current(&format!("docs/diagrams/{}.md", table.machine), &picture);
        is_current(&format!("docs/diagrams/{}.svg", table.machine), &table.svg());
    }
}

#[test]
fn what_the_readme_says_is_supported_exists_and_has_tests() {
    let known = tests();
    let mut table = String::from("| Specification | What there is | Shown by |\n|---|---|---|\n");
    for row in support::SUPPORTED {
        assert!(!row.tests.is_empty(), "{}: nothing shows it", row.specification);
        for test in row.tests {
            assert!(known.contains(*test), "{}: there is no test {test}", row.specification);
        }
        let (items, tests) = (listed(row.items), listed(row.tests));
        writeln!(table, "| {} | {}: {items} | {tests} |", row.specification, row.what).unwrap();
    }
    table.push_str("\n| Not yet | |\n|---|---|\n");
    for (specification, what) in support::NOT_YET {
        writeln!(table, "| {specification} | {what} |").unwrap();
    }
    part_is_current("README.md", "support", &table);
}

fn listed(names: &[&str]) -> String {
    let short = |name: &str| name.replace(' ', "").replace("grantflow_core::", "");
    names.iter().map(|name| format!("`{}`", short(name))).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_promise_of_the_security_page_names_a_test() {
    let known = tests();
    let page = read("SECURITY.md");
    for test in tests_named_in(&page) {
        assert!(known.contains(test), "SECURITY.md names {test}, which is no test");
    }
    let (_, promises) = page.split_once("\n## Promises").unwrap();
    let (promises, _) = promises.split_once("\n## ").unwrap();
    let mut count = 0;
    for promise in promises.split("\n- ").skip(1) {
        count += 1;
        assert!(tests_named_in(promise).next().is_some(), "nothing shows this promise: {promise}");
    }
    assert!(count > 20, "the promises are not where they are looked for");
}

#[test]
fn the_tests_that_other_pages_name_exist() {
    let known = tests();
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/verification.md"] {
        for test in tests_named_in(&read(page)) {
            assert!(known.contains(test), "{page} names {test}, which is no test");
        }
    }
}

#[test]
fn the_limits_of_the_security_page_are_those_of_the_code() {
    let mut table = String::from("| What | Limit |\n|---|---|\n");
    for limit in limits::LIMITS {
        for (file, line) in limit.code {
            assert!(read(file).contains(line), "{}: {file} does not say `{line}`", limit.what);
        }
        writeln!(table, "| {} | {} |", limit.what, limit.value).unwrap();
    }
    part_is_current("SECURITY.md", "limits", &table);
}

#[test]
fn the_count_of_the_catalogue_is_current() {
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let attacks = include_str!("../catalogue/attacks.tsv").lines().skip(1);
    let answers = include_str!("../catalogue/answers.tsv").lines().skip(1);
    let systems = include_str!("../catalogue/systems.tsv").lines().skip(1);
    let attacks = attacks.chain(systems).map(|row| (row.split('-').next().unwrap(), row));
    let sections = attacks.chain(answers.map(|row| ("answers", row)));
    for (section, row) in sections {
        let standing = row.rsplit('\t').next().unwrap();
        let column = ["test", "waived", "later"].iter().position(|word| standing.starts_with(word)).unwrap();
        counts.entry(section.to_owned()).or_default()[column] += 1;
    }
    let mut table = String::from("| Section | Rows | Tested | Waived | Later |\n|---|---:|---:|---:|---:|\n");
    let mut total = [0; 3];
    for (section, count) in &counts {
        let [tested, waived, later] = count;
        let rows: usize = count.iter().sum();
        writeln!(table, "| {section} | {rows} | {tested} | {waived} | {later} |").unwrap();
        total.iter_mut().zip(count).for_each(|(total, count)| *total += count);
    }
    let [tested, waived, later] = total;
    let rows: usize = total.iter().sum();
    writeln!(table, "| **all** | **{rows}** | **{tested}** | **{waived}** | **{later}** |").unwrap();
    part_is_current("docs/verification.md", "catalogue", &table);
}

/// A page without what is put in: its figures, and the parts that tests write.
fn prose(page: &str) -> Vec<&str> {
    let mut put_in = false;
    let mut kept = Vec::new();
    for line in page.lines() {
        put_in |= line.starts_with("<!-- begin ");
        if !put_in && !line.starts_with("<!-- figures ") && !line.starts_with("<!-- other figures") {
            kept.push(line);
        }
        put_in &= !line.starts_with("<!-- end ");
    }
    kept
}

#[test]
fn the_page_of_figures_says_what_its_source_says() {
    let (written, source) = (read("docs/verification.md"), read("docs/verification.in.md"));
    assert_eq!(prose(&written), prose(&source), "write it in docs/verification.in.md and run tests/figures none");
    assert!(written.contains("<!-- begin figures tests -->"), "there are no figures");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut pages: Vec<String> = ["README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY", "CHANGELOG"]
        .iter()
        .map(|page| format!("{page}.md"))
        .collect();
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    for page in pages {
        let text = read(&page);
        assert!(!text.is_empty(), "{page} is not there");
        let folder = root().join(&page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{page} links to {target}, which is not there");
            }
        }
    }
}

#[test]
fn every_note_is_explained() {
    let page = read("docs/leniency.md");
    let code = read("core/src/token/note.rs");
    let names: Vec<_> =
        code.lines().filter(|line| line.contains("=> \"")).filter_map(|line| line.split('"').nth(1)).collect();
    assert!(names.len() > 20, "the names of the notes are not where they are looked for");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "docs/leniency.md does not explain {name}");
    }
}
