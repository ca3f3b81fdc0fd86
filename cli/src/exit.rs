//! How the command ends: one failure type, and one function that gives each kind of error its exit code.

use std::fmt;
use std::process::ExitCode;

use grantflow_core::error::{Advice, ConfigError};
use grantflow_core::{Error, Secret};

/// What `--help` says of exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    2  wrong usage
    3  network: no connection, no answer, or no verdict
    4  the server refused (an OAuth error)
    5  a check failed: issuer, state, signature, id_token, ...
    6  the person said no, or gave up
    7  time ran out: nobody came back, a code expired
    8  the server broke the protocol
    9  local input or output failed
   10  the settings are wrong
   11  somebody has to log in (again)
   12  the store of tokens failed
   70  a bug in grantflow
  130  interrupted (143: terminated)";

/// A class of endings. Numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Usage,
    Network,
    Refused,
    Security,
    Denied,
    Expired,
    Protocol,
    Local,
    Settings,
    LoginNeeded,
    Store,
    Bug,
    Interrupted,
    Terminated,
}

impl Code {
    /// Its number, as the shell sees it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Code::Usage => 2,
            Code::Network => 3,
            Code::Refused => 4,
            Code::Security => 5,
            Code::Denied => 6,
            Code::Expired => 7,
            Code::Protocol => 8,
            Code::Local => 9,
            Code::Settings => 10,
            Code::LoginNeeded => 11,
            Code::Store => 12,
            Code::Bug => 70,
            Code::Interrupted => 130,
            Code::Terminated => 143,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code.number())
    }
}

/// Which class an error belongs to.
pub(crate) fn code(error: &Error) -> Code {
    match error {
        Error::Config(ConfigError::PortInUse(_) | ConfigError::Listen(_)) => Code::Local,
        Error::Config(_) => Code::Settings,
        Error::Transport(_) => Code::Network,
        Error::Protocol(_) => Code::Protocol,
        Error::Refused(_) if error.advice() == Advice::GiveUp => Code::Denied,
        Error::Refused(_) => Code::Refused,
        Error::Security(_) | Error::Callback(_) => Code::Security,
        Error::Expired(_) => Code::Expired,
        Error::Cancelled => Code::Denied,
        Error::Provider(_) => Code::Local,
        Error::LoginNeeded(_) => Code::LoginNeeded,
        Error::Store(_) => Code::Store,
        Error::Misuse(_) | Error::Bug(_) => Code::Bug,
        // The enum may grow; what this command does not know, it cannot have asked for.
        _ => Code::Bug,
    }
}

/// Why there is no artefact.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A flow ended so.
    Flow(Error),
    /// The arguments do not go together.
    Usage(String),
    /// A file, a stream or a socket of this machine failed.
    Local(String),
    /// A setting or a secret is missing or cannot be used.
    Settings(String),
    /// What was asked for is not in the server's answer.
    Answer(String),
    /// A resource server has answered with this status.
    Status(u16),
    /// Only a person can help.
    LoginNeeded(String),
    /// Several things were done, and the first that failed ended so.
    Several(Code, String),
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Failure {
    /// The class of this failure.
    pub(crate) fn code(&self) -> Code {
        match self {
            Failure::Flow(error) => code(error),
            Failure::Usage(_) => Code::Usage,
            Failure::Local(_) => Code::Local,
            Failure::Settings(_) => Code::Settings,
            Failure::Answer(_) => Code::Protocol,
            Failure::Status(_) => Code::Refused,
            Failure::LoginNeeded(_) => Code::LoginNeeded,
            Failure::Several(code, _) => *code,
            Failure::Interrupted => Code::Interrupted,
            Failure::Terminated => Code::Terminated,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Flow(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Flow(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Flow(error) => write!(f, "{error}"),
            Failure::Usage(text)
            | Failure::Local(text)
            | Failure::Settings(text)
            | Failure::Answer(text)
            | Failure::LoginNeeded(text)
            | Failure::Several(_, text) => f.write_str(text),
            Failure::Status(status) => write!(f, "the server has answered with {status}"),
            Failure::Interrupted => f.write_str("interrupted"),
            Failure::Terminated => f.write_str("terminated"),
        }
    }
}

/// What goes to standard output. It may be a secret, so it is kept as one.
pub(crate) type Artefact = Secret<String>;

#[cfg(test)]
mod tests {
    use grantflow_core::error::{
        BadCallback, Delivery, Endpoint, Expired, LoginNeeded, Misuse, ProtocolError, ProviderError, Refusal, Rule,
        SecurityError, StoreError, StoreFault, TransportError, TransportKind,
    };

    use super::*;

    fn refused(code: &str) -> Error {
        Error::Refused(Box::new(Refusal {
            endpoint: Endpoint::Token,
            code: code.to_owned(),
            description: None,
            uri: None,
            answer: None,
            hint: None,
        }))
    }

    #[test]
    fn cl_07_each_class_of_error_has_its_own_exit_code() {
        let transport = |kind| {
            let delivery = Delivery::NotSent;
            Error::Transport(TransportError {
                endpoint: Endpoint::Token,
                kind,
                delivery,
                answer: None,
                not_before: None,
            })
        };
        let protocol =
            Error::Protocol(Box::new(ProtocolError { endpoint: Endpoint::Token, rule: Rule::Status, answer: None }));
        let table = [
            (transport(TransportKind::Dns), 3),
            (transport(TransportKind::Timeout), 3),
            (transport(TransportKind::Unavailable), 3),
            (refused("invalid_grant"), 4),
            (refused("invalid_client"), 4),
            (refused("something_new"), 4),
            (Error::Security(SecurityError::Signature), 5),
            (Error::Callback(BadCallback::DuplicateParameter), 5),
            (refused("access_denied"), 6),
            (refused("authorization_declined"), 6),
            (Error::Cancelled, 6),
            (Error::Expired(Expired::Callback), 7),
            (Error::Expired(Expired::DeviceCode), 7),
            (Error::Expired(Expired::Retries), 7),
            (protocol, 8),
            (Error::Config(ConfigError::PortInUse(8080)), 9),
            (Error::Config(ConfigError::Listen("no".to_owned())), 9),
            (Error::Provider(ProviderError::Random), 9),
            (Error::Config(ConfigError::EmptySecret), 10),
            (Error::Config(ConfigError::EndpointMissing(Endpoint::Token)), 10),
            (Error::LoginNeeded(LoginNeeded::NoSession), 11),
            (Error::Store(StoreError::new(StoreFault::Corrupt, "x")), 12),
            (Error::Misuse(Misuse::NotResting), 70),
            (Error::Bug("x"), 70),
        ];
        for (error, expected) in table {
            assert_eq!(code(&error).number(), expected, "{error}");
        }
    }

    #[test]
    fn help_lists_every_exit_code() {
        let codes = [
            Code::Usage,
            Code::Network,
            Code::Refused,
            Code::Security,
            Code::Denied,
            Code::Expired,
            Code::Protocol,
            Code::Local,
            Code::Settings,
            Code::LoginNeeded,
            Code::Store,
            Code::Bug,
            Code::Interrupted,
            Code::Terminated,
        ];
        for code in codes {
            let number = code.number().to_string();
            assert!(HELP.split(|c: char| !c.is_ascii_digit()).any(|word| word == number), "{number}");
        }
    }
}
