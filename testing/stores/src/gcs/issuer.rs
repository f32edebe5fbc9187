//! Tokens: statements of a service account, signed with its key (RS256).

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::rsa::is_signature;
use crate::clock::true_time;
use crate::s3::Refusal;

/// Who signs tokens.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    email: String,
    /// The last token that was good, for the same one comes with every request.
    known: Arc<Mutex<String>>,
}

impl Issuer {
    pub(crate) fn new(email: &str) -> Issuer {
        Issuer { email: email.to_owned(), known: Arc::default() }
    }

    /// Nothing if this header of a request holds a token of the issuer that is still good.
    pub(crate) fn verify(&self, authorization: Option<&str>) -> Result<(), Refusal> {
        let denied = |status, message: &str| Refusal::new(status, "AuthenticationRequired", message);
        let Some(header) = authorization else { return Err(denied(401, "Authentication required.")) };
        let token = header.strip_prefix("Bearer ").ok_or_else(|| denied(401, "Not a bearer token."))?;
        let claims =
            self.claims(token).ok_or_else(|| denied(401, "The token is not signed by the service account."))?;
        let (begins, ends) = (number(&claims, "iat").unwrap_or(u64::MAX), number(&claims, "exp").unwrap_or(0));
        let now = true_time();
        if now + 60 < begins || now > ends {
            return Err(denied(401, "The token has expired."));
        }
        let scope = "https://www.googleapis.com/auth/cloud-platform";
        match text(&claims, "iss") == Some(&self.email) && text(&claims, "scope").is_some_and(|s| s.contains(scope)) {
            true => Ok(()),
            false => Err(Refusal::new(403, "AccessDenied", "The token is not for this.")),
        }
    }

    /// The claims of a token whose signature is right.
    fn claims(&self, token: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let mut known = self.known.lock().unwrap();
        if *known != token {
            if !is_signature(signed.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?) {
                return None;
            }
            token.clone_into(&mut known);
        }
        Some(claims)
    }
}

/// What stands after the name of a member of a flat JSON object.
fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let after = json.split_once(&format!("\"{name}\""))?.1;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

fn text<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    member(json, name)?.strip_prefix('"')?.split('"').next()
}

fn number(json: &str, name: &str) -> Option<u64> {
    member(json, name)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
