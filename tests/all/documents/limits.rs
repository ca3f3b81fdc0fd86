//! The table of limits in SECURITY.md, with the lines of code that set them.

/// A limit in words, and the files with the lines that must stand in them.
pub struct Limit {
    pub what: &'static str,
    pub value: &'static str,
    pub code: &'static [(&'static str, &'static str)],
}

const EXCHANGE: &str = "core/src/endpoint/exchange.rs";
const LOOPBACK: &str = "core/src/loopback/mod.rs";
const JWS: &str = "core/src/jose/jws.rs";
const ASYNC: &str = "io-tokio/src/transport.rs";
const BLOCKING: &str = "io-blocking/src/transport/mod.rs";
const DEVICE: &str = "core/src/token/device.rs";

macro_rules! limit {
    ($what:literal, $value:literal, $($file:expr => $line:literal),+) => {
        Limit { what: $what, value: $value, code: &[$(($file, $line)),+] }
    };
}

pub const LIMITS: &[Limit] = &[
    limit!("body of an answer", "1 MiB", EXCHANGE => "const ANSWER_LIMIT: usize = 1024 * 1024;"),
    limit!("body of an answer of a resource server, unless you say otherwise", "16 MiB",
        "core/src/resource/request.rs" => "const ANSWER_LIMIT: usize = 16 * 1024 * 1024;"),
    limit!("metadata document, key set", "512 KiB",
        EXCHANGE => "const DOCUMENT_LIMIT: usize = 512 * 1024;",
        "core/src/jose/keys.rs" => "const MAX_BYTES: usize = 512 * 1024;"),
    limit!("names of a list in metadata", "1,000; the rest is not looked at",
        "core/src/server/mod.rs" => "const MAX_NAMES: usize = 1_000;"),
    limit!("head of an answer", "64 KiB, 100 fields",
        ASYNC => "const HEAD_LIMIT: usize = 64 * 1024;",
        ASYNC => "const FIELDS_COUNT: usize = 100;",
        BLOCKING => "const MAX_HEAD: usize = 64 * 1024;",
        BLOCKING => "const MAX_HEADERS: usize = 100;"),
    limit!("JSON", "depth 32, 10,000 members over all levels",
        "core/src/http/json.rs" => "pub const MAX_DEPTH: usize = 32;",
        "core/src/http/json.rs" => "pub const MAX_MEMBERS: usize = 10_000;"),
    limit!("token in an answer", "64 KiB", "core/src/token/answer.rs" => "pub const MAX_TOKEN: usize = 64 * 1024;"),
    limit!("lifetime of a token", "ten years at most",
        "core/src/token/answer.rs" => "LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);"),
    limit!("scope", "1,000 tokens, 64 KiB",
        "core/src/token/scopes.rs" => "const MAX_SCOPES: usize = 1_000;",
        "core/src/token/scopes.rs" => "const MAX_LENGTH: usize = 64 * 1024;"),
    limit!("id_token", "64 KiB; header 8 KiB, signature 2 KiB",
        JWS => "const TOKEN_LIMIT: usize = 64 * 1024;",
        JWS => "const HEADER_LIMIT: usize = 8 * 1024;",
        JWS => "const SIGNATURE_LIMIT: usize = 2 * 1024;"),
    limit!("keys of a set; tried for a token without `kid`", "100; 4",
        "core/src/jose/keys.rs" => "pub const MAX_KEYS: usize = 100;",
        JWS => "const TRIALS: usize = 4;"),
    limit!("key set", "fresh for 5 minutes, usable for 1 hour while it cannot be fetched, fetched again for an unknown key once a minute",
        "core/src/memory/keys.rs" => "const FRESH: Duration = Duration::from_secs(5 * 60);",
        "core/src/memory/keys.rs" => "const STALE: Duration = Duration::from_secs(60 * 60);",
        "core/src/memory/keys.rs" => "const COOLDOWN: Duration = Duration::from_secs(60);"),
    limit!("what is remembered of servers", "keys of 64 issuers, nonces of 64 origins",
        "core/src/memory/keys.rs" => "const ISSUERS: usize = 64;",
        "core/src/memory/nonces.rs" => "const ORIGINS: usize = 64;"),
    limit!("callback", "16 KiB, 100 parameters",
        "core/src/callback.rs" => "pub const MAX_CALLBACK: usize = 16 * 1024;",
        "core/src/http/form.rs" => "pub const MAX_PARAMETERS: usize = 100;"),
    limit!("URL", "16 KiB", "core/src/http/url_policy.rs" => "pub const MAX_URL: usize = 16 * 1024;"),
    limit!("challenges of an answer", "100",
        "core/src/http/challenge.rs" => "pub const MAX_CHALLENGES: usize = 100;"),
    limit!("one exchange", "30 s",  EXCHANGE => "const TIMEOUT: Duration = Duration::from_secs(30);"),
    limit!("parts of it", "connecting 10 s, TLS 10 s, first byte 15 s, pause within a body 10 s",
        ASYNC => "Self { connect: seconds(10), tls: seconds(10), first_byte: seconds(15), idle: seconds(10) }",
        BLOCKING => "Self { connect: seconds(10), tls: seconds(10), first_byte: seconds(15), idle: seconds(10) }"),
    limit!("retries", "3, within 60 s",
        EXCHANGE => "const RETRIES: u32 = 3;",
        EXCHANGE => "const RETRY_BUDGET: Duration = Duration::from_secs(60);"),
    limit!("redirects", "none; 3 within the origin for metadata, only if asked for",
        "core/src/endpoint/discovery.rs" => "const MAX_REDIRECTS: u8 = 3;"),
    limit!("`Retry-After`", "one day; beyond the budget it is reported, not waited for",
        "core/src/http/retry_after.rs" => "pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);"),
    limit!("idle connections to one server", "16",
        ASYNC => "const POOL_SIZE: usize = 16;",
        BLOCKING => "const MAX_IDLE_PER_HOST: usize = 16;"),
    limit!("device polling", "interval 1 to 300 s, code one day at most, 15 minutes if the server does not say",
        "core/src/grant/device.rs" => "const LONGEST_INTERVAL: Duration = Duration::from_secs(300);",
        DEVICE => "const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);",
        DEVICE => "const USUAL_LIFETIME: Duration = Duration::from_secs(15 * 60);"),
    limit!("user code, verification URI", "128 and 1,000 characters",
        DEVICE => "const MAX_USER_CODE: usize = 128;",
        DEVICE => "const MAX_VERIFICATION_URI: usize = 1_000;"),
    limit!("pending login", "10 minutes unless set, 5 with the drivers' `login`",
        "core/src/grant/authorization_code.rs" => "const LIFETIME: Duration = Duration::from_secs(600);",
        LOOPBACK => "pub const DEFAULT_WAIT: Duration = Duration::from_secs(5 * 60);"),
    limit!("pending logins kept by `PendingFlows`", "10,000; the oldest is forgotten first",
        "core/src/grant/pending.rs" => "const CAPACITY: usize = 10_000;"),
    limit!("snapshot", "64 KiB", "core/src/snapshot.rs" => "const LIMIT: usize = 64 * 1024;"),
    limit!("redirect listener", "32 connections, 5 s for a request, request line, fields and body 16 KiB each, 100 fields",
        LOOPBACK => "pub const MAX_CONNECTIONS: usize = 32;",
        LOOPBACK => "pub const HEADER_DEADLINE: Duration = Duration::from_secs(5);",
        LOOPBACK => "const LINE_LIMIT: usize = 16 * 1024;",
        LOOPBACK => "const FIELDS_LIMIT: usize = 16 * 1024;",
        LOOPBACK => "const FIELDS_COUNT: usize = 100;",
        LOOPBACK => "const BODY_LIMIT: usize = 16 * 1024;"),
    limit!("server's text in an error", "1 KiB, escaped; of a body 512 bytes, redacted",
        "core/src/error/mod.rs" => "pub const TEXT_LIMIT: usize = 1024;",
        "core/src/token/facts.rs" => "const EXCERPT: usize = 512;"),
    limit!("clock skew", "60 s both ways", "core/src/jose/rules.rs" => "skew: Duration::from_secs(60),"),
    limit!("client assertion", "valid for 60 s",
        "core/src/client/assertion.rs" => "const LIFETIME: Duration = Duration::from_secs(60);"),
];
