//! The pictures in the documentation are drawn from the tables, and are current.
//!
//! `UPDATE_DOCS=1 cargo test -p grantflow-tests documents` draws them anew.

use std::path::{Path, PathBuf};

use grantflow_core::testing::specimens::SPECIMENS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a generated file with the one in the tree, or writes it if asked to.
pub fn is_current(path: &str, generated: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, generated).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, generated, "{path} is not current: run UPDATE_DOCS=1 cargo test -p grantflow-tests documents");
}

#[test]
fn the_picture_of_every_machine_is_current() {
    for specimen in SPECIMENS {
        let table = specimen.table;
        let picture = format!("```mermaid\n{}```\n", table.mermaid());
        is_current(&format!("docs/diagrams/{}.md", table.machine), &picture);
    }
}
