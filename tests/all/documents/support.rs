//! The table of README.md: what there is, and what is not there yet.

/// A specification, what there is of it, by which public items, and the tests that show it.
pub struct Supported {
    pub specification: &'static str,
    pub what: &'static str,
    /// Paths as text; that they exist the compiler checks.
    pub items: &'static [&'static str],
    pub tests: &'static [&'static str],
}

/// Names a public item so that it must exist.
macro_rules! supported {
    ($specification:literal, $what:literal, [$($($item:ident)::+),+], [$($test:literal),+]) => {{
        $(
            #[allow(unused_imports, reason = "that the path can be imported is the check")]
            use $($item)::+ as _;
        )+
        Supported {
            specification: $specification,
            what: $what,
            items: &[$(stringify!($($item)::+)),+],
            tests: &[$($test),+],
        }
    }};
}

pub const SUPPORTED: &[Supported] = &[
    supported!(
        "RFC 6749 §4.1, RFC 7636",
        "authorization code, always with PKCE S256",
        [grantflow_core::grant::AuthorizationCode],
        ["pk_01_pk_04_the_verifier_is_drawn_and_always_sent_and_fits_the_challenge"]
    ),
    supported!(
        "RFC 6749 §4.4",
        "client credentials",
        [grantflow_core::grant::ClientCredentials],
        ["a_confidential_client_gets_a_token_of_its_own_asks_about_it_and_revokes_it"]
    ),
    supported!(
        "RFC 6749 §6",
        "refresh, with and without rotation",
        [grantflow_core::grant::Refresh],
        ["tr_20_answers_18_answers_36_answers_37_the_old_refresh_token_lives_until_a_new_one_comes"]
    ),
    supported!(
        "RFC 6749 §2.3",
        "`none`, `client_secret_basic`, `client_secret_post`, methods of your own",
        [grantflow_core::client::Authentication, grantflow_core::client::AuthenticationMethod],
        ["ca_01_answers_50_id_and_secret_are_form_encoded_before_base64"]
    ),
    supported!(
        "RFC 7523 §2.2",
        "`private_key_jwt`; a signer of yours holds the key",
        [grantflow_tokio::Signer, grantflow_blocking::Signer],
        ["ca_05_an_assertion_is_for_the_issuer_alone_at_every_endpoint"]
    ),
    supported!(
        "RFC 9449 §5, §8",
        "DPoP proofs and nonces at the token endpoint",
        [grantflow_core::client::ProofKey],
        ["dp_05_every_request_has_a_proof_of_its_own", "dp_01_a_nonce_is_answered_once"]
    ),
    supported!(
        "RFC 9449 §7, §9",
        "DPoP proofs and nonces on requests to resources and to UserInfo",
        [grantflow_core::resource::AuthorizedRequest],
        [
            "dp_07_the_hash_of_a_token_is_as_in_the_rfc",
            "dp_07_a_question_to_userinfo_with_a_bound_token_carries_a_proof_of_it"
        ]
    ),
    supported!(
        "RFC 6750 §2.1",
        "requests with a token through the drivers, tower, reqwest and ureq; one renewal and one retry after a 401",
        [
            grantflow_core::resource::AuthorizedRequest,
            grantflow_tokio::Api,
            grantflow_tokio::AuthorizeLayer,
            grantflow_tokio::ReqwestApi,
            grantflow_blocking::Api,
            grantflow_blocking::AuthorizeMiddleware
        ],
        [
            "rs_07_rf_11_a_59_x_09_h_12_a_refused_token_is_renewed_once_and_the_second_answer_stands",
            "rs_07_a_59_x_09_h_12_a_body_that_can_be_had_again_is_sent_again_once",
            "rs_01_rs_02_rs_10_rs_09_l_54_neither_token_nor_key_leaves_the_audience_by_way_of_reqwest"
        ]
    ),
    supported!(
        "RFC 9470, RFC 6750 §3.1",
        "demands for more scope or another login are read and shown, never followed",
        [grantflow_core::resource::challenge_of],
        ["rs_08_what_a_server_asks_for_is_shown"]
    ),
    supported!(
        "RFC 9700 §4.9",
        "tokens go to the bases that you name, and nowhere else",
        [grantflow_core::resource::Audience],
        ["rs_04_a_token_goes_to_no_host_outside_its_audience", "rs_03_h_04_no_path_leads_elsewhere"]
    ),
    supported!(
        "RFC 6750",
        "tokens in the header only, challenges read by the grammar",
        [grantflow_core::http::challenge::challenges],
        ["ir_06_ui_03_a_token_is_never_in_a_url", "answers_57_challenges_are_read_by_the_grammar"]
    ),
    supported!(
        "RFC 7009",
        "revocation",
        [grantflow_core::endpoint::Revocation],
        ["ir_07_answers_49_200_and_204_are_success_whatever_the_body_says"]
    ),
    supported!(
        "RFC 7662",
        "introspection, JSON answers",
        [grantflow_core::endpoint::Introspection],
        ["ir_01_only_the_boolean_true_is_active"]
    ),
    supported!(
        "RFC 9701",
        "introspection, signed answers where they are demanded",
        [grantflow_core::endpoint::Introspection],
        ["ir_03_a_signed_answer_of_the_wrong_kind_is_refused"]
    ),
    supported!(
        "RFC 6749 §4.5",
        "any grant that is one request, by its grant_type and parameters",
        [grantflow_core::grant::ExtensionGrant],
        ["l_22_a_grant_of_ones_own_is_sent_with_its_parameters_with_every_driver"]
    ),
    supported!(
        "RFC 7515, 7517, 7518, 8037",
        "verification with RS, PS, ES (256, 384, 512) and EdDSA",
        [grantflow_core::jose::verify, grantflow_core::jose::JwkSet],
        ["signatures_of_the_rfcs_verify", "a_token_that_is_right_is_accepted_with_every_algorithm"]
    ),
    supported!(
        "RFC 8725",
        "an allow-list of algorithms; never `none`, never HMAC, no key from a header",
        [grantflow_core::jose::SignatureAlgorithm],
        ["jw_01_alg_none_is_refused_in_every_spelling", "jw_05_a_key_in_the_header_is_ignored"]
    ),
    supported!(
        "RFC 8252",
        "loopback redirects on `127.0.0.1` and `::1`",
        [grantflow_tokio::RedirectListener, grantflow_blocking::RedirectListener],
        ["lb_01_lb_02_only_loopback_literals_are_bound", "lb_01_only_loopback_addresses_are_listened_on"]
    ),
    supported!(
        "RFC 8414, OpenID Connect Discovery",
        "metadata, at both places, with the exact issuer",
        [grantflow_core::endpoint::Discovery],
        ["di_04_answers_53_both_places_are_built_for_every_form_of_issuer"]
    ),
    supported!(
        "RFC 8628",
        "device authorization, the whole polling loop",
        [grantflow_core::grant::Device],
        ["dv_01_answers_44_each_slow_down_adds_five_seconds_for_good"]
    ),
    supported!(
        "RFC 8707",
        "`resource`, repeated at will",
        [grantflow_core::grant::AuthorizationRequest, grantflow_core::grant::refresh::RefreshRequest],
        ["rf_12_rf_17_a_refresh_asks_for_what_was_granted_and_no_more"]
    ),
    supported!(
        "RFC 9207",
        "`iss` in the callback, demanded where it is promised",
        [grantflow_core::callback::CallbackParams],
        ["ar_12_a_promised_issuer_that_is_missing_ends_the_login"]
    ),
    supported!(
        "OpenID Connect Core §2, §3.1",
        "id_tokens, always verified; `nonce`, `max_age`, `acr_values` enforced",
        [grantflow_core::jose::VerifiedIdToken],
        ["jw_45_without_verification_there_is_no_identity", "jw_32_jw_33_what_was_asked_of_the_login_is_enforced"]
    ),
    supported!(
        "OpenID Connect Core §10.1.1",
        "key rotation without a storm of fetches",
        [grantflow_core::memory::Memory],
        ["jw_36_a_rotated_key_is_fetched_once_and_a_withdrawn_one_dies"]
    ),
    supported!(
        "OpenID Connect Core §5.3",
        "UserInfo as JSON, `sub` compared",
        [grantflow_core::endpoint::UserInfo],
        ["ui_01_an_answer_about_somebody_else_shows_nothing"]
    ),
    supported!(
        "OAuth 2.0 Form Post Response Mode",
        "callbacks by POST",
        [grantflow_core::callback::ResponseMode],
        ["ar_20_a_form_post_login_takes_no_query"]
    ),
];

pub const NOT_YET: &[(&str, &str)] = &[
    ("RFC 9126, RFC 9101, JARM", "pushed and signed authorization requests, signed responses"),
    ("RFC 8693", "a flow of its own for token exchange"),
    ("RFC 7521, 7522, 7523 §2.1", "assertions as grants"),
    ("RFC 7591, 7592", "dynamic registration"),
    ("RFC 8705", "mutual TLS"),
    ("RFC 9728", "protected resource metadata"),
    ("OpenID Connect Core §5.3.2", "signed answers of UserInfo"),
    ("RFC 7516", "encrypted id_tokens and answers"),
    ("OpenID Connect CIBA", "authentication in the background"),
    ("OpenID Connect logout", "RP-initiated, front-channel and back-channel logout, session management"),
    ("OpenID Connect Core §3.2, §3.3", "implicit and hybrid flows"),
    ("RFC 6749 §4.3", "password grant"),
    ("Amazon Cognito", "SRP logins and device keys"),
    ("", "protection of web services"),
];
