//! What a picture must be: complete, legible, harmless.

use super::super::{Arrow, EventKind, Finding, READY};
use super::*;
use crate::TABLES;
use crate::machine::StateRow;

/// All texts with their place: class, x, y, anchor, content.
fn texts(svg: &str) -> Vec<(f64, f64, String, String)> {
    let value = |line: &str, name: &str| -> String {
        let after = line.split(&format!(" {name}=\"")).nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    };
    let texts = svg.lines().filter(|line| line.starts_with("<text"));
    texts
        .map(|line| {
            let content = line.split('>').nth(1).unwrap().trim_end_matches("</text").to_owned();
            let (x, y) = (value(line, "x").parse().unwrap(), value(line, "y").parse().unwrap());
            (x, y, value(line, "text-anchor"), content)
        })
        .collect()
}

#[test]
fn every_table_is_drawn_with_all_of_its_states_and_labels_and_always_the_same() {
    for table in TABLES {
        let svg = table.svg();
        let contents: Vec<String> = texts(&svg).into_iter().map(|text| text.3).collect();
        // A state that only a cancellation reaches is not drawn: those arrows are left out.
        let edges = table.edges();
        let drawn = |row: &&StateRow| edges.iter().any(|(from, to, _)| *from == row.id || *to == row.id);
        for row in table.states.iter().filter(drawn) {
            assert!(contents.iter().any(|content| content == row.id.0), "{}: {}", table.machine, row.id);
        }
        let labels: usize = table.edges().iter().map(|edge| edge.2.len()).sum();
        assert_eq!(contents.iter().filter(|content| content.contains(" / ")).count(), labels, "{}", table.machine);
        assert_eq!(svg.matches("class=\"a\"").count(), table.edges().len(), "{}", table.machine);
        assert_eq!(svg, table.svg());
    }
}

#[test]
fn no_two_texts_overlap_and_none_leaves_the_picture() {
    for table in TABLES {
        let svg = table.svg();
        let size = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split('"').next().unwrap();
        let (width, height) = size.split_once(' ').unwrap();
        let (width, height): (f64, f64) = (width.parse().unwrap(), height.parse().unwrap());
        let boxes: Vec<(f64, f64, f64, f64, String)> = texts(&svg)
            .into_iter()
            .map(|(x, y, anchor, content)| {
                let wide = count(&content) * if content.contains(' ') { LABEL } else { NAME };
                let left = match anchor.as_str() {
                    "start" => x,
                    "end" => x - wide,
                    _ => x - wide / 2.0,
                };
                (left, y - 11.0, left + wide, y, content)
            })
            .collect();
        for (at, one) in boxes.iter().enumerate() {
            assert!(one.0 >= 0.0 && one.1 >= 0.0 && one.2 <= width && one.3 <= height, "{}: {one:?}", table.machine);
            for other in &boxes[at + 1..] {
                let apart = one.2 <= other.0 || other.2 <= one.0 || one.3 <= other.1 || other.3 <= one.1;
                assert!(apart, "{}: {one:?} {other:?}", table.machine);
            }
        }
    }
}

#[test]
fn names_are_escaped() {
    const HOSTILE: StateId = StateId("<script>\"&");
    static TABLE: Table = Table {
        machine: "<a>&\"",
        states: &[StateRow::initial(), StateRow::live(HOSTILE, crate::machine::EffectKind::Send)],
        rows: &[Arrow::new(READY, EventKind::Start, Finding("</svg>"), HOSTILE)],
    };
    let svg = TABLE.svg();
    assert!(!svg.contains("<script>") && !svg.contains("<a>"));
    assert_eq!(svg.matches("</svg>").count(), 1);
    assert!(svg.contains("&lt;script&gt;&quot;&amp;"));
}

#[test]
fn the_list_of_tables_has_every_machine_of_the_register() {
    let listed: Vec<&str> = TABLES.iter().map(|table| table.machine).collect();
    let registered: Vec<&str> =
        crate::testing::specimens::SPECIMENS.iter().map(|specimen| specimen.table.machine).collect();
    assert_eq!(listed, registered);
}
