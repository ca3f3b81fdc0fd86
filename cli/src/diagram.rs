//! `grantflow diagram`: the picture of a flow, drawn from its table.

use grantflow_core::TABLES;

use crate::args::{DiagramArgs, Format};
use crate::exit::{Artefact, Failure};

/// Draws the flow.
pub(crate) fn draw(args: &DiagramArgs) -> Result<Artefact, Failure> {
    let table = TABLES.iter().find(|table| table.machine == args.flow);
    let table = table.ok_or_else(|| Failure::Usage("there is no such flow".to_owned()))?;
    Ok(Artefact::new(match args.format {
        Format::Mermaid => table.mermaid(),
        Format::Dot => table.dot(),
        Format::Svg => table.svg(),
    }))
}
