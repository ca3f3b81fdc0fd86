//! What can be typed: commands, options, and what they are for.
//!
//! No option takes a secret: arguments can be read by everybody on the machine. Secrets come from an environment
//! variable, a file or standard input, and only their whereabouts are arguments.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use grantflow_core::TABLES;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_devserver::Fault;

use crate::exit;
use crate::output::Output;

/// OAuth 2.0 and OpenID Connect from the command line.
///
/// Standard output carries exactly what was asked for, and nothing when something went wrong; everything else goes to
/// standard error.
#[derive(Debug, Parser)]
#[command(name = "grantflow", version, after_help = exit::HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Show each transition, exchange and check on standard error. Nothing secret is shown.
    #[arg(long, global = true)]
    pub(crate) trace: bool,
    /// Keep logins there: file (the default), file:PATH, keyring, redis://… or postgres://…. Also read from the
    /// environment variable GRANTFLOW_STORE, which alone may name a URL with a password.
    #[arg(long, global = true, value_name = "STORE")]
    pub(crate) store: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every flow against a built-in server on this machine, and show each step.
    #[command(after_help = exit::HELP)]
    Demo(DemoArgs),
    /// Log a person in and print their token.
    #[command(after_help = exit::HELP)]
    Login(LoginArgs),
    /// Print a fresh token of a saved login, or get a token without a person.
    ///
    /// A saved token is renewed when it is due, once for all who ask at the same moment, and saved before it is printed.
    #[command(after_help = exit::HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Token(TokenArgs),
    /// Show the saved logins, without their tokens.
    #[command(after_help = exit::HELP)]
    List(ListArgs),
    /// Show what is known of a saved login, its tokens left out.
    #[command(after_help = exit::HELP)]
    Inspect(NameArgs),
    /// Send a request with the token of a saved login, and print the answer.
    ///
    /// The token goes to the places that --audience names, here or at the login, and nowhere else. A refused token is
    /// renewed once. Redirects are not followed.
    #[command(after_help = exit::HELP)]
    Curl(CurlArgs),
    /// Revoke the tokens of a saved login, and keep its name.
    #[command(after_help = exit::HELP)]
    Revoke(RevokeArgs),
    /// Keep the tokens of another program's file.
    #[command(after_help = exit::HELP)]
    Import(ImportArgs),
    /// Print all tokens of a saved login, the refresh token too, as a JSON file.
    #[command(after_help = exit::HELP)]
    Export(NameArgs),
    /// Revoke the tokens of a saved login and forget it.
    ///
    /// They are forgotten here whatever the server answers. The exit code tells when it did not confirm.
    #[command(after_help = exit::HELP)]
    Logout(NameArgs),
    /// Fetch the metadata of a server and print it as JSON.
    #[command(after_help = exit::HELP)]
    Discover(DiscoverArgs),
    /// Draw the states of a flow.
    Diagram(DiagramArgs),
    /// Run the development server until it is interrupted. Prints its issuer, then one line a request on standard error.
    #[command(after_help = exit::HELP)]
    Serve(ServeArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Get a token for the client itself (RFC 6749 section 4.4).
    ClientCredentials(ClientCredentialsArgs),
    /// Get a new token with a refresh token (RFC 6749 section 6).
    Refresh(RefreshArgs),
    /// Get a token by a grant that has no command of its own (RFC 6749 section 4.5): token exchange, say.
    Grant(GrantArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) grant: Option<TokenCommand>,
    #[command(flatten)]
    pub(crate) saved: SavedTokenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SavedTokenArgs {
    /// The saved login.
    #[arg(value_name = "NAME", required = true)]
    pub(crate) name: Option<String>,
    /// Demand a token that lives so much longer, and renew one that does not.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) min_life: Option<u64>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Output::Token)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The saved login.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The saved login.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Which token. Without its refresh token a login is over.
    #[arg(long, value_enum, default_value_t = Kind::Refresh)]
    pub(crate) kind: Kind,
}

/// A token of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The access token: the next use gets another one.
    Access,
    /// The refresh token.
    Refresh,
}

#[derive(Debug, Args)]
pub(crate) struct CurlArgs {
    /// The saved login.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Where to send the request.
    #[arg(value_name = "URL", required_unless_present = "rest")]
    pub(crate) url: Option<String>,
    /// Send the token to this place and what is below it, in place of those named at the login: an https URL, or http to
    /// a loopback address. May be repeated.
    #[arg(long, value_name = "URL")]
    pub(crate) audience: Vec<String>,
    /// The method: GET, or POST if something is sent.
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub(crate) request: Option<String>,
    /// Add a header. May be repeated. Not for secrets.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// Send this, or @FILE, or @- for standard input, as a form. May be repeated.
    #[arg(short, long, value_name = "DATA")]
    pub(crate) data: Vec<String>,
    /// Send this, or @FILE, or @- for standard input, as JSON.
    #[arg(long, value_name = "DATA", conflicts_with = "data")]
    pub(crate) json: Option<String>,
    /// Print the status and the headers of the answer too.
    #[arg(short, long)]
    pub(crate) include: bool,
    /// Write the answer to this file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print nothing and end with 4 when the status is 400 or above.
    #[arg(short, long)]
    pub(crate) fail: bool,
    /// The same arguments, after `--`.
    #[arg(last = true, hide = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The name to keep them under.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Which program has written it.
    #[arg(long, value_enum)]
    pub(crate) shape: FileShape,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Take a name away from another client, and forget the tokens that had it.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Let `grantflow curl` send the token to this place and what is below it. May be repeated.
    #[arg(long, value_name = "URL")]
    pub(crate) audience: Vec<String>,
}

/// A program that writes token files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileShape {
    /// A flat object; what `grantflow export` writes.
    Aiorequestful,
    /// The token of Authlib.
    Authlib,
    /// A config entry of Home Assistant.
    HomeAssistant,
    /// The tokens of pycognito.
    Pycognito,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Listing::Table)]
    pub(crate) output: Listing,
}

/// A way to show what is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Listing {
    /// For people.
    Table,
    /// For programs: one line of JSON.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Let the server do this wrong and see what comes of it. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) fault: Vec<Fault>,
}

/// Which client of which server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server's issuer: an https URL, or http to a loopback address (127.0.0.1 or ::1).
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: String,
    /// The client's identifier.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    #[command(flatten)]
    pub(crate) secret: ClientSecretArgs,
    /// Accept id_tokens signed like this. May be repeated; RS256 alone if absent.
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    pub(crate) id_token_alg: Vec<SignatureAlgorithm>,
}

/// Where the client secret is.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ClientSecretArgs {
    /// Take the client secret from this environment variable.
    #[arg(long, value_name = "NAME")]
    pub(crate) client_secret_env: Option<String>,
    /// Take the client secret from this file, which nobody else may read.
    #[arg(long, value_name = "PATH")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// Take the client secret from standard input.
    #[arg(long)]
    pub(crate) client_secret_stdin: bool,
}

/// Where the refresh token is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RefreshTokenArgs {
    /// Take the refresh token from this environment variable.
    #[arg(long, value_name = "NAME")]
    pub(crate) refresh_token_env: Option<String>,
    /// Take the refresh token from this file, which nobody else may read.
    #[arg(long, value_name = "PATH")]
    pub(crate) refresh_token_file: Option<PathBuf>,
    /// Take the refresh token from standard input.
    #[arg(long, conflicts_with = "client_secret_stdin")]
    pub(crate) refresh_token_stdin: bool,
}

/// What is asked for, and how it is printed.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The scopes to ask for, separated by spaces.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) scope: String,
    /// Ask for a token for this resource (RFC 8707). May be repeated.
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Vec<String>,
    /// Add a parameter to the request. May be repeated. Not for secrets.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) param: Vec<(String, String)>,
    /// What to print: the access token if absent, and nothing if the login is saved.
    #[arg(long, value_enum)]
    pub(crate) output: Option<Output>,
}

/// Under which name a login is kept.
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// Keep the tokens under this name, with what is needed to renew them: `grantflow token NAME` prints a fresh one.
    #[arg(long, value_name = "NAME", conflicts_with = "client_secret_stdin")]
    pub(crate) save: Option<String>,
    /// Take a name away from another client, and forget the tokens that had it.
    #[arg(long, requires = "save")]
    pub(crate) replace: bool,
    /// Let `grantflow curl` send the token to this place and what is below it: an https URL. May be repeated.
    #[arg(long, value_name = "URL", requires = "save")]
    pub(crate) audience: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    #[command(flatten)]
    pub(crate) save: SaveArgs,
    /// Show a code to type on another device (RFC 8628).
    #[arg(long, conflicts_with_all = ["no_browser", "port", "redirect_uri", "form_post", "max_age", "acr"])]
    pub(crate) device: bool,
    /// Open no browser: print the address, and read the address that the browser came back to from standard input.
    #[arg(long, conflicts_with_all = ["form_post", "client_secret_stdin"])]
    pub(crate) no_browser: bool,
    /// Listen on this port. May be repeated: the first that is free is taken. Any free one if absent.
    #[arg(long, value_name = "N")]
    pub(crate) port: Vec<u16>,
    /// The redirect URI, where the server knows one only. It must be a loopback address unless --no-browser is given;
    /// without a port in it, any free one is taken.
    #[arg(long, value_name = "URI", conflicts_with = "port")]
    pub(crate) redirect_uri: Option<String>,
    /// Demand a login at most this many seconds ago.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_age: Option<u64>,
    /// Demand one of these authentication context classes. May be repeated.
    #[arg(long, value_name = "CLASS")]
    pub(crate) acr: Vec<String>,
    /// How long to wait for the person.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Have the answer posted as a form.
    #[arg(long)]
    pub(crate) form_post: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClientCredentialsArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) refresh_token: RefreshTokenArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The grant_type: a URI, or a word that the server knows.
    #[arg(value_name = "GRANT_TYPE")]
    pub(crate) grant_type: String,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Add a parameter that is a secret, from this environment variable. May be repeated.
    // Not parsed here: a message about what cannot be parsed would repeat it.
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub(crate) secret_param_env: Vec<String>,
    /// Add a parameter that is a secret, from this file, which nobody else may read. May be repeated.
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) secret_param_file: Vec<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// The issuer, exactly as the server writes it.
    #[arg(value_name = "URL")]
    pub(crate) issuer: String,
}

#[derive(Debug, Args)]
pub(crate) struct DiagramArgs {
    /// Which flow.
    #[arg(value_parser = PossibleValuesParser::new(TABLES.iter().map(|table| table.machine)))]
    pub(crate) flow: String,
    /// How to draw it.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    pub(crate) format: Format,
}

/// A way to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A Mermaid state diagram.
    Mermaid,
    /// Graphviz' language.
    Dot,
    /// A picture.
    Svg,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Listen on this port of 127.0.0.1; 0 takes a free one.
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Read clients, users and settings from this TOML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show no page: this user is signed in and allows everything.
    #[arg(long, value_name = "USER")]
    pub(crate) auto_consent: Option<String>,
    /// Do this wrong. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) fault: Vec<Fault>,
    /// Print the names of the faults and what they do, and exit.
    #[arg(long, exclusive = true)]
    pub(crate) list_faults: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("it is not of the form NAME=VALUE".to_owned()),
    }
}

fn algorithm(text: &str) -> Result<SignatureAlgorithm, String> {
    SignatureAlgorithm::parse(text).ok_or_else(|| "there is no such algorithm".to_owned())
}
