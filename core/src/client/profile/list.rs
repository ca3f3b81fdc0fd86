//! The providers there are. Each says in its sources where it is from.

use super::fix::Fix;
use super::{Need, PLAIN_ID, Profile};
use crate::error::Endpoint;
use crate::token::answer::Separator::{Space, SpaceOrComma};

/// A provider that follows the standards: what the others are compared with.
const PLAIN: Profile = Profile {
    name: "",
    title: "",
    sources: &[],
    issuer: "",
    tenants: None,
    endpoints: &[],
    authentication: &[],
    id_parameter: PLAIN_ID,
    scopes: (Space, Space),
    answers: &[],
    protected: &[],
    extras: &[],
};

const POST: &[&str] = &["client_secret_post"];

impl Profile {
    /// All profiles, in the order of their names.
    pub const ALL: &'static [&'static Self] = &[
        &Self::FACEBOOK,
        &Self::GITHUB,
        &Self::GOOGLE,
        &Self::MICROSOFT,
        &Self::SLACK,
        &Self::STACK_EXCHANGE,
        &Self::TIKTOK,
        &Self::TWITCH,
    ];

    /// Facebook: errors are objects, with numbers that say more than their type. There are no refresh tokens.
    pub const FACEBOOK: Self = Self {
        name: "facebook",
        title: "Facebook",
        sources: &[
            "developers.facebook.com/docs/graph-api/guides/error-handling",
            "developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow",
            "developers.facebook.com/docs/reference/dialogs/oauth",
        ],
        issuer: "https://www.facebook.com",
        endpoints: &[
            (Endpoint::Authorization, "https://www.facebook.com/dialog/oauth"),
            (Endpoint::Token, "https://graph.facebook.com/oauth/access_token"),
        ],
        authentication: POST,
        scopes: (SpaceOrComma, SpaceOrComma),
        answers: &[
            // The access token has expired, was revoked, or is otherwise invalid: get a new one.
            Fix::Nested(190, "invalid_token"),
            Fix::Nested(102, "invalid_token"),
            // A temporary issue: wait and retry.
            Fix::Nested(1, "temporarily_unavailable"),
            Fix::Nested(2, "temporarily_unavailable"),
            Fix::Nested(4, "temporarily_unavailable"),
        ],
        ..PLAIN
    };

    /// GitHub: scopes with commas, refusals with status 200 and in words of its own. A form unless JSON is asked for,
    /// which the engine does always.
    pub const GITHUB: Self = Self {
        name: "github",
        title: "GitHub",
        sources: &[
            "docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps",
            "docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors",
            "docs.github.com/en/apps/github-authentication-discovery-endpoints (the issuer, sent as `iss` in callbacks)",
            "a refresh refused with 200 and `bad_refresh_token`: a log in github.com/interlink-hq/interLink/pull/262",
        ],
        issuer: "https://github.com/login/oauth",
        endpoints: &[
            (Endpoint::Authorization, "https://github.com/login/oauth/authorize"),
            (Endpoint::Token, "https://github.com/login/oauth/access_token"),
            (Endpoint::DeviceAuthorization, "https://github.com/login/device/code"),
        ],
        authentication: POST,
        scopes: (Space, SpaceOrComma),
        answers: &[
            Fix::Code("bad_verification_code", "invalid_grant"),
            Fix::Code("bad_refresh_token", "invalid_grant"),
            Fix::Code("incorrect_client_credentials", "invalid_client"),
            Fix::Code("redirect_uri_mismatch", "invalid_redirect_uri"),
        ],
        ..PLAIN
    };

    /// Google: a refresh token only for those who ask for `access_type=offline`. The draft's name of a device's
    /// `verification_uri` is read by every client. It can be discovered as well.
    pub const GOOGLE: Self = Self {
        name: "google",
        title: "Google",
        sources: &[
            "developers.google.com/identity/protocols/oauth2/limited-input-device",
            "developers.google.com/identity/openid-connect/openid-connect",
            "accounts.google.com/.well-known/openid-configuration",
        ],
        issuer: "https://accounts.google.com",
        endpoints: &[
            (Endpoint::Authorization, "https://accounts.google.com/o/oauth2/v2/auth"),
            (Endpoint::Token, "https://oauth2.googleapis.com/token"),
            (Endpoint::DeviceAuthorization, "https://oauth2.googleapis.com/device/code"),
            (Endpoint::Revocation, "https://oauth2.googleapis.com/revoke"),
            (Endpoint::UserInfo, "https://openidconnect.googleapis.com/v1/userinfo"),
            (Endpoint::Keys, "https://www.googleapis.com/oauth2/v3/certs"),
        ],
        authentication: POST,
        extras: &[("access_type", "offline")],
        ..PLAIN
    };

    /// Microsoft Entra ID, for accounts of any tenant: each has an issuer of its own. Who wants one tenant discovers that.
    pub const MICROSOFT: Self = Self {
        name: "microsoft",
        title: "Microsoft Entra ID",
        sources: &[
            "learn.microsoft.com/entra/identity-platform/v2-protocols-oidc",
            "login.microsoftonline.com/common/v2.0/.well-known/openid-configuration (its issuer is the template: \
             github.com/MicrosoftDocs/azure-docs/issues/38427)",
        ],
        issuer: "https://login.microsoftonline.com/common/v2.0",
        tenants: Some("https://login.microsoftonline.com/{tenantid}/v2.0"),
        endpoints: &[
            (Endpoint::Authorization, "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"),
            (Endpoint::Token, "https://login.microsoftonline.com/common/oauth2/v2.0/token"),
            (Endpoint::DeviceAuthorization, "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"),
            (Endpoint::UserInfo, "https://graph.microsoft.com/oidc/userinfo"),
            (Endpoint::Keys, "https://login.microsoftonline.com/common/discovery/v2.0/keys"),
        ],
        authentication: POST,
        ..PLAIN
    };

    /// Slack: token types of its own or none, scopes with commas, refusals with status 200, and the token of a person who
    /// installs no bot inside another object. A bot's scopes go into `scope`, a person's into the extra `user_scope`.
    pub const SLACK: Self = Self {
        name: "slack",
        title: "Slack",
        sources: &[
            "api.slack.com/methods/oauth.v2.access",
            "docs.slack.dev/authentication/installing-with-oauth",
            "docs.slack.dev/authentication/using-token-rotation",
            "a person's tokens inside `authed_user`: github.com/slack-go/slack/pull/1030, \
             github.com/ginjo/omniauth-slack/issues/10",
            "`invalid_refresh_token`: github.com/slackapi/node-slack-sdk/issues/2038",
        ],
        issuer: "https://slack.com",
        endpoints: &[
            (Endpoint::Authorization, "https://slack.com/oauth/v2/authorize"),
            (Endpoint::Token, "https://slack.com/api/oauth.v2.access"),
        ],
        authentication: &["client_secret_basic", "client_secret_post"],
        scopes: (SpaceOrComma, SpaceOrComma),
        answers: &[
            Fix::Lift("authed_user"),
            Fix::Fill("token_type", "Bearer"),
            Fix::Replace("token_type", "bot", "Bearer"),
            Fix::Replace("token_type", "user", "Bearer"),
            Fix::Code("invalid_code", "invalid_grant"),
            Fix::Code("invalid_refresh_token", "invalid_grant"),
            Fix::Code("bad_client_secret", "invalid_client"),
            Fix::Code("invalid_client_id", "invalid_client"),
            Fix::Code("bad_redirect_uri", "invalid_redirect_uri"),
        ],
        ..PLAIN
    };

    /// Stack Exchange: answers that are forms, with `expires` and no token type; requests to its API name a site. They
    /// need the key of the application too, which is the caller's to add.
    pub const STACK_EXCHANGE: Self = Self {
        name: "stack-exchange",
        title: "Stack Exchange",
        sources: &[
            "api.stackexchange.com/docs/authentication",
            "the site with every request: github.com/hybridauth/hybridauth/pull/1203",
            "errors as objects: github.com/mulesoft-labs/js-client-oauth2/issues/60",
        ],
        issuer: "https://stackoverflow.com",
        endpoints: &[
            (Endpoint::Authorization, "https://stackoverflow.com/oauth"),
            (Endpoint::Token, "https://stackoverflow.com/oauth/access_token"),
        ],
        authentication: POST,
        answers: &[Fix::Form, Fix::Rename("expires", "expires_in"), Fix::Fill("token_type", "Bearer")],
        protected: &[Need::Query("site", "stackoverflow")],
        ..PLAIN
    };

    /// TikTok, Login Kit for web: `client_key` instead of `client_id`, scopes with commas, and in the older form of its
    /// answers everything inside `data`, with errors as numbers. `open_id` is an extra member of the answer.
    pub const TIKTOK: Self = Self {
        name: "tiktok",
        title: "TikTok",
        sources: &[
            "developers.tiktok.com/doc/oauth-user-access-token-management",
            "developers.tiktok.com/doc/oauth-error-handling",
            "developers.tiktok.com/doc/login-kit-web",
            "developers.tiktok.com/doc/legacy-user-access-guide (answers inside `data`)",
        ],
        issuer: "https://www.tiktok.com",
        endpoints: &[
            (Endpoint::Authorization, "https://www.tiktok.com/v2/auth/authorize/"),
            (Endpoint::Token, "https://open.tiktokapis.com/v2/oauth/token/"),
            (Endpoint::Revocation, "https://open.tiktokapis.com/v2/oauth/revoke/"),
        ],
        authentication: POST,
        id_parameter: "client_key",
        scopes: (SpaceOrComma, SpaceOrComma),
        answers: &[Fix::Lift("data"), Fix::Number("error_code", "description")],
        ..PLAIN
    };

    /// Twitch: scopes in an array, which every client reads; refusals that are a message; requests to its API name the
    /// client.
    pub const TWITCH: Self = Self {
        name: "twitch",
        title: "Twitch",
        sources: &[
            "dev.twitch.tv/docs/authentication/getting-tokens-oauth",
            "dev.twitch.tv/docs/authentication/refresh-tokens",
            "id.twitch.tv/oauth2/.well-known/openid-configuration",
            "refusals: github.com/twitchdev/issues/issues/1037, github.com/Teekeks/pyTwitchAPI/issues/37, \
             github.com/Radioh/ha_twitch_helix/issues/3",
        ],
        issuer: "https://id.twitch.tv/oauth2",
        endpoints: &[
            (Endpoint::Authorization, "https://id.twitch.tv/oauth2/authorize"),
            (Endpoint::Token, "https://id.twitch.tv/oauth2/token"),
            (Endpoint::DeviceAuthorization, "https://id.twitch.tv/oauth2/device"),
            (Endpoint::Keys, "https://id.twitch.tv/oauth2/keys"),
        ],
        authentication: POST,
        answers: &[
            Fix::Message("message"),
            Fix::Code("Invalid refresh token", "invalid_grant"),
            Fix::Code("invalid client secret", "invalid_client"),
        ],
        protected: &[Need::ClientId("client-id")],
        ..PLAIN
    };
}
