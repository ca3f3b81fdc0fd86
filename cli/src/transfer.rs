//! `grantflow import` and `grantflow export`: tokens from and for other programs.

use std::fs::File;
use std::io::Read;

use grantflow_core::Secret;
use grantflow_core::token::{Shape, TokenSet};
use grantflow_tokio::{Clock, SystemClock};

use crate::args::{FileShape, ImportArgs, SaveArgs};
use crate::exit::{Artefact, Failure};
use crate::kept::Kept;
use crate::saved::{self, Saving};
use crate::trace::Trace;

/// No token file is larger.
const LIMIT: u64 = 2 * 1024 * 1024;

/// Keeps the tokens of a file. The file stays: two programs that renew the same tokens get in each other's way.
pub(crate) fn import(args: &ImportArgs, store: Option<&str>, trace: Trace) -> Result<Artefact, Failure> {
    let save = SaveArgs { save: None, replace: args.replace, audience: args.audience.clone() };
    let saving = Saving::under(&args.name, &save, &args.server, "", store)?;
    let mut bytes = Vec::new();
    let read = File::open(&args.file).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    let bytes = Secret::new(bytes);
    read.map_err(|error| Failure::Local(format!("the file to import: {error}")))?;
    let shape = match args.shape {
        FileShape::Aiorequestful => Shape::Aiorequestful,
        FileShape::Authlib => Shape::Authlib,
        FileShape::HomeAssistant => Shape::HomeAssistant,
        FileShape::Pycognito => Shape::Pycognito,
    };
    let tokens = TokenSet::import(shape, bytes.expose(), SystemClock.now());
    let tokens = tokens.map_err(|error| Failure::Settings(format!("the file to import: {error}")))?;
    saved::check_unbound("the file to import", &tokens)?;
    saving.keep(trace.driver(), None, tokens)?;
    Ok(Artefact::new(String::new()))
}

/// Prints all tokens, the refresh token among them.
pub(crate) fn export(name: &str, kept: &Kept) -> Result<Artefact, Failure> {
    let login = kept.login(name)?;
    let held = kept.held(&login)?.ok_or_else(|| Failure::LoginNeeded(format!("{name} has no tokens")))?;
    let file = held.tokens.to_reference_file();
    let text = std::str::from_utf8(file.expose()).map_err(|_| Failure::Answer("the tokens are not text".to_owned()))?;
    Ok(Artefact::from(text))
}
