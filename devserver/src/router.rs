//! Which endpoint a path is, and which methods it takes.

use hyper::{Method, StatusCode};

use crate::authorize::authorize;
use crate::context::Context;
use crate::device;
use crate::lifecycle::{introspect, revoke};
use crate::metadata::{jwks, metadata};
use crate::pages;
use crate::refusal::Refusal;
use crate::resource::{me, userinfo};
use crate::session::decision;
use crate::token::token;
use crate::wire::{Reply, Request};

#[derive(Clone, Copy)]
enum Endpoint {
    Front,
    Metadata,
    Jwks,
    Authorize,
    Decision,
    Token,
    DeviceAuthorization,
    Device,
    Userinfo,
    Introspect,
    Revoke,
    Me,
}

impl Endpoint {
    /// The endpoint at `path`, given the issuer's path. The well-known documents are where RFC 8414 §3.1 inserts
    /// them, and where OpenID Connect Discovery §4 appends them, each under both names.
    fn at(path: &str, issuer_path: &str) -> Option<Self> {
        const DOCUMENTS: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
        if DOCUMENTS.iter().any(|document| path.strip_prefix(document) == Some(issuer_path)) {
            return Some(Self::Metadata);
        }
        let own = path.strip_prefix(issuer_path)?;
        match own {
            "" | "/" => Some(Self::Front),
            "/jwks" => Some(Self::Jwks),
            "/authorize" => Some(Self::Authorize),
            "/decision" => Some(Self::Decision),
            "/token" => Some(Self::Token),
            "/device_authorization" => Some(Self::DeviceAuthorization),
            "/device" => Some(Self::Device),
            "/userinfo" => Some(Self::Userinfo),
            "/introspect" => Some(Self::Introspect),
            "/revoke" => Some(Self::Revoke),
            "/api/me" => Some(Self::Me),
            "/redirected/metadata" => Some(Self::Metadata),
            document if DOCUMENTS.contains(&document) => Some(Self::Metadata),
            _ => None,
        }
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::Front | Self::Metadata | Self::Jwks | Self::Device | Self::Me => "GET",
            Self::Authorize | Self::Userinfo => "GET, POST",
            Self::Decision | Self::Token | Self::DeviceAuthorization | Self::Introspect | Self::Revoke => "POST",
        }
    }
}

/// Serves one request.
pub(crate) fn serve(cx: &mut Context<'_>, request: &Request) -> Reply {
    let Some(endpoint) = Endpoint::at(&request.path, &cx.site.path) else {
        return Refusal::not_served(StatusCode::NOT_FOUND, "there is nothing here").into_reply();
    };
    let allow = endpoint.allow();
    let fits = (request.method == Method::GET && allow.contains("GET"))
        || (request.method == Method::POST && allow.contains("POST"));
    if !fits {
        let refusal = Refusal::not_served(StatusCode::METHOD_NOT_ALLOWED, "not with this method");
        return refusal.into_reply().with_header("allow", allow);
    }
    let reply = match endpoint {
        Endpoint::Front => Ok(front(cx)),
        Endpoint::Metadata => metadata(cx),
        Endpoint::Jwks => jwks(cx),
        Endpoint::Authorize => authorize(cx, request),
        Endpoint::Decision => decision(cx, request),
        Endpoint::Token => token(cx, request),
        Endpoint::DeviceAuthorization => device::authorization(cx, request),
        Endpoint::Device => device::page(cx, request),
        Endpoint::Userinfo => userinfo(cx, request),
        Endpoint::Introspect => introspect(cx, request),
        Endpoint::Revoke => revoke(cx, request),
        Endpoint::Me => me(cx, request),
    };
    reply.unwrap_or_else(Refusal::into_reply)
}

fn front(cx: &Context<'_>) -> Reply {
    let text = format!("The issuer is {} and devices are connected at {}.", cx.site.issuer(), cx.site.url("/device"));
    pages::message(StatusCode::OK, "grantflow development server", &text).with_note("showed the front page")
}
