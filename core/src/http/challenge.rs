//! `WWW-Authenticate` challenges (RFC 9110 §11).
