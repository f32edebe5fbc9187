//! Signatures of the fourth version, in the header and in the query.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use crate::clock::{parse_amz_date, true_time};
use crate::head::{Head, decode, encode};
use crate::objects::hex;

/// Seconds that the clock of a client may differ from ours.
const MAX_SKEW: u64 = 15 * 60;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// With what requests must be signed.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// What a request says of its signature.
struct Said {
    access: String,
    /// Date, region, service, `aws4_request`.
    scope: String,
    names: Vec<String>,
    signature: String,
    date: String,
    payload: String,
    /// Seconds for which a signature in the query is good.
    expires: Option<u64>,
}

pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is good");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Nothing if the request is signed with these keys, and its body is the one that was signed.
pub(crate) fn verify(head: &Head, body: &[u8], keys: &Keys) -> Result<(), Refusal> {
    let said = said(head)?;
    check_who(head, &said, keys)?;
    check_when(&said)?;
    check_payload(&said.payload, body)?;
    if !said.names.iter().any(|name| name == "host") {
        return Err(Refusal::new(
            403,
            "AccessDenied",
            "There were headers present in the request which were not signed",
        ));
    }
    let canonical = canonical(head, &said);
    let text = format!("{ALGORITHM}\n{}\n{}\n{}", said.date, said.scope, hex(&Sha256::digest(&canonical)));
    let key = said
        .scope
        .split('/')
        .fold(format!("AWS4{}", keys.secret).into_bytes(), |key, part| hmac_sha256(&key, part.as_bytes()));
    if hex(&hmac_sha256(&key, text.as_bytes())) == said.signature {
        return Ok(());
    }
    Err(Refusal::new(
        403,
        "SignatureDoesNotMatch",
        format!("The request signature we calculated does not match the signature you provided. Signed: {canonical}"),
    ))
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(400, "AuthorizationHeaderMalformed", format!("The authorization is malformed: {what}"))
}

fn said(head: &Head) -> Result<Said, Refusal> {
    let (credential, names, signature) = match head.header("authorization") {
        Some(header) => {
            let rest = header.strip_prefix(ALGORITHM).ok_or_else(|| malformed("not AWS4-HMAC-SHA256"))?;
            let field = |name: &str| {
                let fields = rest.split(',').filter_map(|field| field.trim().split_once('='));
                fields.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_owned())
            };
            (field("Credential"), field("SignedHeaders"), field("Signature"))
        }
        None => {
            let field = |name: &str| head.query(name).map(str::to_owned);
            (field("X-Amz-Credential"), field("X-Amz-SignedHeaders"), field("X-Amz-Signature"))
        }
    };
    let (Some(credential), Some(names), Some(signature)) = (credential, names, signature) else {
        return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
    };
    let (access, scope) = credential.split_once('/').ok_or_else(|| malformed("no scope"))?;
    let in_query = head.query("X-Amz-Signature").is_some();
    let date = if in_query { head.query("X-Amz-Date") } else { head.header("x-amz-date") };
    let payload = head.header("x-amz-content-sha256").or(in_query.then_some("UNSIGNED-PAYLOAD"));
    Ok(Said {
        access: access.to_owned(),
        scope: scope.to_owned(),
        names: names.split(';').map(str::to_owned).collect(),
        signature,
        date: date.ok_or_else(|| malformed("no date"))?.to_owned(),
        payload: payload.ok_or_else(|| malformed("no x-amz-content-sha256"))?.to_owned(),
        expires: head.query("X-Amz-Expires").and_then(|seconds| seconds.parse().ok()),
    })
}

fn check_who(head: &Head, said: &Said, keys: &Keys) -> Result<(), Refusal> {
    if said.access != keys.access {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(Refusal::new(403, "InvalidAccessKeyId", message));
    }
    let token = head.header("x-amz-security-token").or(head.query("X-Amz-Security-Token"));
    if keys.token.as_deref() != token {
        return Err(Refusal::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid."));
    }
    let mut parts = said.scope.split('/');
    let (day, _region, service, end) = (parts.next(), parts.next(), parts.next(), parts.next());
    if service != Some("s3") || end != Some("aws4_request") || parts.next().is_some() {
        return Err(malformed("the scope is not date/region/s3/aws4_request"));
    }
    if day != said.date.get(..8) {
        return Err(malformed("the date of the scope is not that of the request"));
    }
    Ok(())
}

fn check_when(said: &Said) -> Result<(), Refusal> {
    let (now, date) = (true_time(), parse_amz_date(&said.date).ok_or_else(|| malformed("the date"))?);
    match said.expires {
        Some(seconds) if now > date + seconds => Err(Refusal::new(403, "AccessDenied", "Request has expired")),
        None if now.abs_diff(date) > MAX_SKEW => {
            let message = "The difference between the request time and the current time is too large.";
            Err(Refusal::new(403, "RequestTimeTooSkewed", message))
        }
        _ => Ok(()),
    }
}

fn check_payload(payload: &str, body: &[u8]) -> Result<(), Refusal> {
    let unchecked = payload == "UNSIGNED-PAYLOAD" || payload.starts_with("STREAMING-");
    if unchecked || payload.eq_ignore_ascii_case(&hex(&Sha256::digest(body))) {
        return Ok(());
    }
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    Err(Refusal::new(400, "XAmzContentSHA256Mismatch", message))
}

/// What is signed of a request: all of it in one form, however it was encoded on the way.
fn canonical(head: &Head, said: &Said) -> String {
    let path: Vec<String> = head.raw_path.split('/').map(|part| encode(&decode(part))).collect();
    let mut query: Vec<String> = (head.query.iter().filter(|(name, _)| name != "X-Amz-Signature"))
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    query.sort_unstable();
    let headers: String = said.names.iter().map(|name| format!("{name}:{}\n", header_value(head, name))).collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        head.method,
        path.join("/"),
        query.join("&"),
        said.names.join(";"),
        said.payload
    )
}

fn header_value(head: &Head, name: &str) -> String {
    let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let single = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
    values.map(single).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    /// The example of the documentation of S3: GET Object with a range. Its date is long past, so that only what is signed
    /// is compared.
    #[test]
    fn the_documented_example_is_signed_alike() {
        let request = Request::builder()
            .uri("/test.txt")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-9")
            .header("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
            .header("x-amz-date", "20130524T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            )
            .body(())
            .unwrap();
        let head = Head::of(&request.into_parts().0);
        let said = said(&head).unwrap();
        let digest = hex(&Sha256::digest(canonical(&head, &said)));
        assert_eq!(digest, "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
        let keys = Keys {
            access: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        assert_eq!(verify(&head, b"", &keys).unwrap_err().code, "RequestTimeTooSkewed");
    }
}
