//! The command. Each command stands in a file of its own, gives an artefact or a failure, and prints nothing to
//! standard output by itself; how all of them end stands in [`exit`].

mod args;
mod connect;
mod curl;
mod demo;
mod diagram;
mod discover;
mod exit;
mod inspect;
mod kept;
mod list;
mod login;
mod output;
mod profile;
mod run;
mod saved;
mod secrets;
mod serve;
mod token;
mod trace;
mod transfer;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command, TokenArgs, TokenCommand};
use crate::exit::{Artefact, Code, Failure};
use crate::kept::Kept;
use crate::trace::{Detail, Trace};

fn main() -> ExitCode {
    let cli = match parsed(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(message) => return told(&message),
    };
    let trace = Trace::new(if cli.trace { Detail::Everything } else { Detail::Little });
    match perform(cli.command, cli.store.as_deref(), trace).and_then(|artefact| output::print(&artefact)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            trace.failure(&failure.to_string());
            failure.code().into()
        }
    }
}

/// Reads the arguments. Those of `curl` may stand after `--`, as for a program that is wrapped.
fn parsed(mut line: Vec<OsString>) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(&line)?;
    let is_wrapped = matches!(&cli.command, Command::Curl(args) if !args.rest.is_empty());
    match line.iter().position(|word| word == "--") {
        Some(at) if is_wrapped => {
            line.remove(at);
            Cli::try_parse_from(&line)
        }
        Some(_) | None => Ok(cli),
    }
}

/// Help and version go to standard output, and everything else about arguments to standard error.
fn told(message: &clap::Error) -> ExitCode {
    match (message.print(), message.use_stderr()) {
        (_, true) => Code::Usage.into(),
        (Ok(()), false) => ExitCode::SUCCESS,
        (Err(_), false) => Code::Local.into(),
    }
}

fn perform(command: Command, store: Option<&str>, trace: Trace) -> Result<Artefact, Failure> {
    match command {
        Command::Demo(args) => run::block_on(demo::run(&args)),
        Command::Login(args) => login::run(&args, store, trace),
        Command::Token(TokenArgs { grant: Some(TokenCommand::ClientCredentials(args)), .. }) => {
            token::client_credentials(&args, trace)
        }
        Command::Token(TokenArgs { grant: Some(TokenCommand::Refresh(args)), .. }) => token::refresh(&args, trace),
        Command::Token(TokenArgs { grant: Some(TokenCommand::Grant(args)), .. }) => token::grant(&args, trace),
        Command::Token(TokenArgs { grant: None, saved }) => saved::token(&saved, &Kept::open(store)?, trace),
        Command::List(args) => list::run(&args, &Kept::open(store)?),
        Command::Inspect(args) => inspect::run(&args.name, &Kept::open(store)?),
        Command::Curl(args) => curl::run(&args, &Kept::open(store)?, trace),
        Command::Revoke(args) => saved::revoke(&args, &Kept::open(store)?, trace),
        Command::Import(args) => transfer::import(&args, store, trace),
        Command::Export(args) => transfer::export(&args.name, &Kept::open(store)?),
        Command::Logout(args) => saved::logout(&args.name, &Kept::open(store)?, trace),
        Command::Discover(args) => run::block_on(discover::run(&args, trace)),
        Command::Diagram(args) => diagram::draw(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "grantflow", &mut script);
            Ok(Artefact::new(String::from_utf8_lossy(&script).into_owned()))
        }
    }
}
